from django.apps import AppConfig


class AvoProjectConfig(AppConfig):
    name = "avo_project"
    verbose_name = "Avo"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from avo_project import checks  # noqa: F401 - registers the system checks
        from avo_project.embedded_database import migrate_on_first_connection

        connection_created.connect(migrate_on_first_connection)
