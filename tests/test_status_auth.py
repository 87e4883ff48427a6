"""Basic authentication."""

import base64

import pytest
from wsgi import basic

from notify.status.auth import Readers


@pytest.fixture
def readers() -> Readers:
    return Readers("ops", "päss:wörd")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_right_ones_are_admitted_in_whatever_encoding_a_client_sends(readers: Readers, encoding: str) -> None:
    assert readers.admit(basic("ops", "päss:wörd", encoding))


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_the_name_of_the_scheme_has_no_case(readers: Readers, scheme: str) -> None:
    assert readers.admit(basic("ops", "päss:wörd").replace("Basic", scheme))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic " + "A" * 5000,
        "Basic é",
        "Bearer " + basic("ops", "päss:wörd").split()[1],
        basic("ops", ""),
        basic("ops", "päss:wörd "),
        basic("OPS", "päss:wörd"),
        basic("ops:päss", "wörd")[:-4],
        basic("ops", "päss:wörd") + ", " + basic("ops", "päss:wörd"),
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode("ops:päss:wörd".encode()).decode(),
    ],
)
def test_all_others_are_not(readers: Readers, header: str) -> None:
    assert not readers.admit(header)


def test_a_password_that_has_no_form_in_latin_1_is_no_shorter_there() -> None:
    readers = Readers("ops", "pass→word")

    assert readers.admit(basic("ops", "pass→word"))
    assert not readers.admit(basic("ops", "password"))


@pytest.mark.parametrize(
    ("username", "password", "variable"),
    [("ops", "", "HTTP_PASSWORD"), ("", "secret-pass", "HTTP_USERNAME"), ("o:ps", "secret-pass", "HTTP_USERNAME")],
)
def test_what_protects_nothing_is_refused_by_name_and_without_the_value(
    username: str, password: str, variable: str
) -> None:
    with pytest.raises(ValueError, match=f"^{variable}: ") as raised:
        Readers(username, password)

    assert "secret-pass" not in str(raised.value)


def test_a_password_of_the_environment_with_bytes_that_are_no_utf_8_is_itself() -> None:
    readers = Readers("ops", "p\udcffss")  # as Python reads b"p\xffss" from the environment
    sent = base64.b64encode(b"ops:p\xffss").decode()

    assert readers.admit(f"Basic {sent}")
    assert not readers.admit(basic("ops", "pss"))
