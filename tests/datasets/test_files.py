import hashlib

import pytest

from hrsnn.datasets._files import locate

CONTENT = b"some data"
HASH = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
CLOSED = "http://127.0.0.1:9/a.bin"  # port 9 (discard) is closed: a stand-in for a machine without network

pytestmark = pytest.mark.usefixtures("no_environment")


def put(folder, name="a.bin", content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def test_folder_wins_over_environment_over_cache(tmp_path, monkeypatch, own_cache):
    given, env = put(tmp_path / "given"), put(tmp_path / "env" / "set")
    cached = put(own_cache / "set")
    assert locate("a.bin", title="A", subset="set") == cached
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path / "env"))
    assert locate("a.bin", title="A", subset="set") == env
    assert locate("a.bin", given.parent, title="A", subset="set") == given


def test_environment_may_be_flat_or_by_set_and_the_set_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    flat = put(tmp_path)
    assert locate("a.bin", title="A", subset="set") == flat
    nested = put(tmp_path / "set")
    assert locate("a.bin", title="A", subset="set") == nested
    nested.unlink()
    with pytest.raises(FileNotFoundError, match=r"A: a\.bin was not found"):
        locate("a.bin", title="A", subset="set", flat=False)


def test_first_of_several_names_wins(tmp_path):
    plain = put(tmp_path, "a")
    assert locate(("a.gz", "a"), tmp_path, title="A") == plain
    zipped = put(tmp_path, "a.gz")
    assert locate(("a.gz", "a"), tmp_path, title="A") == zipped


def test_missing_in_given_folder_never_falls_through(tmp_path, own_cache):
    put(own_cache)
    (tmp_path / "given").mkdir()
    with pytest.raises(FileNotFoundError, match=r"A is not in .*given\. Put a\.bin there, or pass another folder="):
        locate("a.bin", tmp_path / "given", title="A")


def test_folder_that_does_not_exist(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"A: folder='.*nowhere' is not an existing folder"):
        locate("a.bin", tmp_path / "nowhere", title="A")
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"variable HRSNN_DATA='.*nowhere' is not an existing folder"):
        locate("a.bin", title="A")


def test_download_is_checked_and_kept(web, own_cache):
    folder, url = web
    put(folder)
    path = locate("a.bin", title="A", subset="set", urls=[CLOSED, url + "a.bin"], known_hash=HASH)
    assert path == own_cache / "set" / "a.bin"
    assert path.read_bytes() == CONTENT
    (folder / "a.bin").unlink()  # from now on the cache answers
    assert locate("a.bin", title="A", subset="set", urls=[url + "a.bin"], known_hash=HASH) == path


def test_damaged_copy_in_the_cache_is_fetched_again(web, own_cache):
    folder, url = web
    put(folder)
    put(own_cache, content=b"half a do")
    assert locate("a.bin", title="A", urls=[url + "a.bin"], known_hash=HASH).read_bytes() == CONTENT


def test_download_with_wrong_checksum_leaves_nothing(web, own_cache):
    folder, url = web
    put(folder, content=b"something else")
    with pytest.raises(FileNotFoundError, match=r"download from http.*failed: SHA256 hash of downloaded file"):
        locate("a.bin", title="A", urls=[url + "a.bin"], known_hash=HASH)
    assert not list(own_cache.iterdir())


def test_offline_error_says_what_to_do():
    message = r"A: a\.bin was not found \(HRSNN_DATA is not set; download from http://127.*Put the file into a folder"
    with pytest.raises(FileNotFoundError, match=message):
        locate("a.bin", title="A", urls=[CLOSED], known_hash=HASH)


def test_error_without_address_names_the_cache():
    with pytest.raises(FileNotFoundError, match=r"not in the cache .*no address.*HRSNN_DATA .*subfolder 'set'"):
        locate("a.bin", title="A", subset="set")
