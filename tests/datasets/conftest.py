import functools
import http.server
import threading

import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """No test sees or fills the cache of the user."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("pooch.os_cache", lambda name: cache / name)
    return cache / "hrsnn"


@pytest.fixture
def no_environment(monkeypatch):
    monkeypatch.delenv("HRSNN_DATA", raising=False)


@pytest.fixture
def web(tmp_path):
    """Serve the folder tmp_path/web on this machine; gives the folder and its address."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()
