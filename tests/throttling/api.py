"""Routes to throttle: small DRF views, so that no other app's route is needed."""

from django.urls import include, path
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Plain(APIView):
    schema = None

    def get(self, request: Request) -> Response:
        return Response({"user": str(request.user), "authenticated": request.user.is_authenticated})

    def post(self, request: Request) -> Response:
        return Response({"written": True}, status=201)


class ExpensiveAnswer(Plain):
    """What it costs is known when it is made."""

    def get(self, request: Request) -> Response:
        response = Response(status=304 if request.headers.get("If-None-Match") == '"1"' else 200)
        response.throttle_cost = 10  # type: ignore[attr-defined]
        return response


class Unchanged(Plain):
    def get(self, request: Request) -> Response:
        return Response(status=304 if request.headers.get("If-None-Match") == '"1"' else 200)


class UnchangedForAny(Plain):
    def get(self, request: Request) -> Response:
        return Response(status=304)


class SignedIn(Plain):
    permission_classes = (IsAuthenticated,)


class Free(Plain):
    throttle_classes = ()


class Broken(Plain):
    def get(self, request: Request) -> Response:
        raise RuntimeError


urlpatterns = [
    path("t/plain", Plain.as_view()),
    path("t/expensive-answer", ExpensiveAnswer.as_view()),
    path("t/unchanged", Unchanged.as_view()),
    path("t/unchanged-for-any", UnchangedForAny.as_view()),
    path("t/signed-in", SignedIn.as_view()),
    path("t/free", Free.as_view()),
    path("t/free-as-view", Plain.as_view(throttle_classes=[])),
    path("t/broken", Broken.as_view()),
    path("", include("avo_project.urls")),
]
