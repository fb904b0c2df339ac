from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.endpoint.backend import EndpointBackend, connect, data_url
from rsmoe_core.backends.endpoint.client import Patience
from rsmoe_core.backends.instructions import Instructions
from rsmoe_core.engine import Engine
from rsmoe_core.errors import BackendError, ImageError, ModelError, UsageError
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER
from rsmoe_core.types import Request
from tests import chat_server
from tests.chat_server import ChatServer, Received, completion, refuse, status
from tests.core.backends.endpoint.test_client import KEY, FakeClock

INSTRUCTIONS = Instructions(DEFAULT_EXPERTS)


def mixture(received: Received) -> str:
    """What a model that follows instructions replies."""
    if "Tell each specialist" in received.text:
        return '{"theme": "name the kind of port", "objects": "count ships", "relations": "where is the quay"}'
    if "Specialists noted" in received.text:
        return "Two ships lie at the quay of a port."
    return "Sure! Here is the list:\n- two ships\n- a quay" if "list" in received.text else "a port"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(mixture) as server:
        yield server


def backend(server: ChatServer, **options: Any) -> EndpointBackend:
    options = {"clock": FakeClock().clock, "image_size": 32} | options
    return connect(server.url, "my-vlm", INSTRUCTIONS, **options)


def grey(*values: int) -> list[Request]:
    return [Request(np.full((40, 40, 3), value, np.uint8)) for value in values]


def base_turns(number: int) -> list[Turn]:
    return [Turn(image, BASE, CAPTION_INSTRUCTION) for image in range(number)]


def test_the_whole_mixture(server: ChatServer) -> None:
    engine = Engine(backend(server))
    described = engine.describe(grey(*range(0, 250, 25)))
    assert len(described) == 10
    for one in described:
        assert one.caption == "Two ships lie at the quay of a port."
        assert one.draft("theme") == "a port"
        assert one.draft("objects") == "two ships, a quay"
        assert one.prompts["objects"] == "count ships"
        assert one.confidence is None
        assert (one.error, dict(one.problems)) == (None, {})
    assert len(server.chats) == 50
    assert (engine.usage.images, engine.usage.calls, engine.usage.prompt_tokens) == (10, 50, 5000)
    assert 1 < server.most_at_once <= 8


def test_captions_do_not_depend_on_the_batch(server: ChatServer) -> None:
    server.answer = lambda received: f"a port {hash(received.body['messages'][0]['content'][0]['image_url']['url'])}"
    engine = Engine(backend(server))
    alone = engine.describe(grey(0, 100, 200), batch_size=1)
    assert len({one.caption for one in alone}) == 3
    assert engine.describe(grey(0, 100, 200), batch_size=3) == alone


def test_what_is_known_of_it(server: ChatServer) -> None:
    server.models = [{"id": "my-vlm", "root": "OWNER/NAME"}, {"id": "my-theme", "root": "/adapters/theme"}]
    one, other = backend(server), backend(server, served_roles={"theme": "my-theme"})
    assert one.name == "my-vlm"
    assert one.device == f"endpoint 127.0.0.1:{server.server_address[1]}"
    assert one.dtype == "served"
    assert one.trained_roles == frozenset()
    assert other.trained_roles == {"theme"}
    assert one.follows_instructions
    assert one.revision.startswith("served-")
    assert one.revision == backend(server).revision
    server.models = [{"id": "my-vlm", "root": "OWNER/OTHER"}]
    assert len({one.revision, other.revision, backend(server).revision, backend(server, image_size=64).revision}) == 4


def test_served_roles_are_prompted_as_they_were_trained(server: ChatServer) -> None:
    server.models = [{"id": name} for name in ("my-vlm", "my-theme", "my-fusion")]
    server.answer = lambda received: " SCENE: a port " if received.body["model"] == "my-theme" else "A port."
    one = backend(server, served_roles={"theme": "my-theme", FUSION: "my-fusion"})
    encoded = one.encode(grey(0))
    drafts = {"theme": "a port", "objects": "two ships"}
    turns = [Turn(0, "theme", "name the kind of place"), Turn(0, FUSION, CAPTION_INSTRUCTION, drafts)]
    theme, fused = one.generate(encoded, turns, max_tokens=17)
    assert (theme.text, fused.text) == ("SCENE: a port", "A port.")
    sent = {received.body["model"]: received for received in server.chats}
    assert sent["my-theme"].text == "name the kind of place"
    assert sent["my-fusion"].text == "describe the picture <theme> a port <objects> two ships"
    assert [received.body["max_tokens"] for received in server.chats] == [17, 17]
    assert not any("response_format" in received.body for received in server.chats)


def test_only_forms_that_a_schema_can_hold_a_model_to_are_sent(server: ChatServer) -> None:
    one = backend(server)
    turns = [Turn(0, role, CAPTION_INSTRUCTION) for role in (ROUTER, "theme", "objects", BASE)]
    one.generate(one.encode(grey(0)), turns, 20)
    with_schema = sum("response_format" in received.body for received in server.chats)
    assert with_schema == 2


def test_a_schema_that_is_refused_in_the_check_is_not_sent_again(server: ChatServer) -> None:
    server.script.append(refuse("response_format"))
    one = backend(server)
    one.generate(one.encode(grey(0)), [Turn(0, "objects", "name the objects")], 20)
    assert ["response_format" in received.body for received in server.received if received.body] == [True, False, False]


def test_a_malformed_reply_is_an_error_of_its_turn_alone(server: ChatServer) -> None:
    server.answer = lambda received: "I'm sorry, I cannot see it." if "a list" in received.text else mixture(received)
    [described] = Engine(backend(server)).describe(grey(0))
    assert described.problems == {"objects": 'the model declined: "I\'m sorry, I cannot see it."'}
    assert described.caption == "Two ships lie at the quay of a port."


def test_a_turn_whose_request_fails_fails_alone(server: ChatServer) -> None:
    one = backend(server, concurrency=1)
    encoded = one.encode(grey(0, 100, 200))
    server.script += [status(500, "cuda error")] * 6
    first, *others = one.generate(encoded, base_turns(3), 20)
    assert first.error == "the server failed: 500 Internal Server Error: cuda error"
    assert first.failed
    assert [other.error for other in others] == [None, None]


@pytest.mark.parametrize("behaviour", [status(500), status(413, "too large"), chat_server.reply({"choices": []})])
def test_a_server_that_fails_for_one_image_after_the_other_stops_the_run(
    server: ChatServer, behaviour: chat_server.Behaviour
) -> None:
    one = backend(server, concurrency=1)
    encoded = one.encode(grey(*range(10)))
    server.script += [behaviour] * 100
    with pytest.raises(BackendError, match=f"^the server at {server.url} stopped working: "):
        one.generate(encoded, base_turns(10), 20)
    assert len(server.chats) <= 18


def test_many_failures_of_one_image_do_not(server: ChatServer) -> None:
    one = backend(server)
    server.script += [status(413, "too large")] * 20
    turns = [Turn(0, BASE, CAPTION_INSTRUCTION)] * 20
    assert {generation.failed for generation in one.generate(one.encode(grey(0)), turns, 20)} == {True}


def test_a_server_that_dies_stops_the_run_and_one_that_is_back_continues_it(server: ChatServer) -> None:
    one = backend(server, patience=Patience(attempts=2))
    encoded = one.encode(grey(0, 100, 200))
    server.script += [status(401)]
    with pytest.raises(BackendError, match="it needs a key"):
        one.generate(encoded, base_turns(1), 20)
    assert [generation.error for generation in one.generate(encoded, base_turns(3), 20)] == [None] * 3
    server.stop()
    with pytest.raises(BackendError, match=f"^the server at {server.url} stopped working: connection refused$"):
        one.generate(encoded, base_turns(3), 20)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (chat_server.reply(b"<html>hello"), "is no endpoint: it replied with a web page instead of JSON; give the URL"),
        (chat_server.reply({"models": []}), "is no endpoint: it does not list its models; give the URL"),
        (chat_server.redirect("https://other.test/v1/models"), "it redirects to https://other.test/v1; give that"),
        (status(401), "it needs a key \\(401\\); set the environment variable RSMOE_API_KEY"),
        (status(403), "it needs a key \\(403\\); set the environment variable RSMOE_API_KEY"),
    ],
)
def test_what_is_no_endpoint(server: ChatServer, models: chat_server.Behaviour, message: str) -> None:
    server.models = models
    with pytest.raises(UsageError, match=message):
        backend(server)
    assert len(server.received) == 1


def test_a_path_that_is_none(server: ChatServer) -> None:
    server.models = status(404, "Not Found")
    server.script.append(status(404, "Not Found"))
    with pytest.raises(UsageError, match="is no endpoint: 404 Not Found: Not Found; give the URL of an OpenAI-comp"):
        backend(server)


def test_a_server_that_is_not_there(server: ChatServer) -> None:
    server.stop()
    with pytest.raises(ModelError, match=f"^cannot reach {server.url}: connection refused; start the server, or check"):
        backend(server)


def test_a_model_that_the_server_lacks(server: ChatServer) -> None:
    server.models = [{"id": f"model-{number}"} for number in range(12)]
    server.script.append(status(404, "The model `my-vlm` does not exist."))
    with pytest.raises(UsageError) as caught:
        backend(server)
    assert str(caught.value) == (
        f"{server.url} has no model 'my-vlm'; it has 'model-0', 'model-1', 'model-10', 'model-11', 'model-2', "
        "'model-3', 'model-4', 'model-5' and 4 more (404 Not Found: The model `my-vlm` does not exist.)"
    )


def test_an_adapter_that_the_server_lacks(server: ChatServer) -> None:
    server.script += [chat_server.answer, status(404)]
    with pytest.raises(UsageError, match="has no model 'my-theme' for the role theme; it has 'my-vlm'"):
        backend(server, served_roles={"theme": "my-theme"})


def test_a_role_that_is_none(server: ChatServer) -> None:
    with pytest.raises(
        UsageError, match=r"^no role 'colour'; the roles are: router, theme, objects, relations, fusion$"
    ):
        backend(server, served_roles={"colour": "my-theme"})


@pytest.mark.parametrize("models", [status(500), status(404), [], [{"id": "my-vlm:latest"}]])
def test_a_server_without_a_list_of_its_models(
    server: ChatServer, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.models = models
    backend(server)
    assert caplog.text == ""


def test_a_server_that_replies_in_any_name(server: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    server.models = [{"id": "other"}]
    backend(server)
    assert "does not list 'my-vlm' (it lists 'other'), but replies" in caplog.text


def test_a_model_that_takes_no_images(server: ChatServer) -> None:
    server.script += [status(400, "my-vlm is not a multimodal model")] * 9
    with pytest.raises(ModelError, match=r"does not reply to an image and a text: 400 .*not a multimodal model$"):
        backend(server)


def test_a_model_that_does_not_work(server: ChatServer) -> None:
    server.script += [status(500, "out of memory")] * 9
    with pytest.raises(ModelError, match=r"'my-vlm' at .* fails at a first small request: 500 .*out of memory$"):
        backend(server)


def reasoning(off: str) -> chat_server.Behaviour:
    """Only thoughts, unless a field switches them off."""

    def behave(handler: chat_server.Handler, body: chat_server.Body) -> None:
        thoughts = completion(None, reasoning_content="Let me see")
        handler.send(completion("a port") if off in body else thoughts)

    return behave


@pytest.mark.parametrize(
    ("off", "value"), [("chat_template_kwargs", {"enable_thinking": False}), ("reasoning_effort", "none")]
)
def test_reasoning_is_switched_off(server: ChatServer, off: str, value: object) -> None:
    server.script += [reasoning(off)] * 4
    one = backend(server)
    server.script.clear()
    one.generate(one.encode(grey(0)), base_turns(1), 20)
    assert server.chats[-1].body[off] == value


def test_reasoning_that_cannot_be_switched_off(server: ChatServer) -> None:
    server.script += [reasoning("nothing")] * 4
    with pytest.raises(ModelError, match="it reasons before it replies; serve it without reasoning"):
        backend(server)


def test_the_key_is_in_no_result(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("RSMOE_API_KEY", KEY)
    one = backend(server, concurrency=1)
    server.script += [status(400, f"bad {KEY}")] * 9
    [failed] = one.generate(one.encode(grey(0)), base_turns(1), 20)
    assert failed.error == "the server failed: 400 Bad Request: bad ***"
    assert server.chats[0].headers["Authorization"] == f"Bearer {KEY}"
    shown = (repr(one), repr(vars(one)), one.name, one.revision, one.device, caplog.text)
    assert not any(KEY in text for text in shown)


def test_images_are_sent_at_their_size_and_look_as_they_did() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64))
    pixels = np.stack([ramp, 2 * ramp, 255 - ramp], axis=-1).astype(np.uint8)
    head, _, data = data_url(Request(pixels), 64).partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (64, 64)
        assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 2
    with Image.open(io.BytesIO(base64.b64decode(data_url(Request(pixels), 20).partition(",")[2]))) as image:
        assert image.size == (20, 20)


def test_an_image_of_the_wrong_shape(server: ChatServer) -> None:
    with pytest.raises(ImageError):
        backend(server).encode([Request(np.zeros((4, 4), np.uint8))])
