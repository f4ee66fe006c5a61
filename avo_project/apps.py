from django.apps import AppConfig


class AvoProjectConfig(AppConfig):
    name = "avo_project"
    verbose_name = "Avo"

    def ready(self) -> None:
        from avo_project import checks  # noqa: F401 - registers the system checks
