import csv
import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from scipy.io import savemat

from hrsnn.datasets import CALTECH_CATEGORIES, caltech101

COUNTS = dict(zip(CALTECH_CATEGORIES, (5, 7, 10, 6, 8, 12, 20, 9, 11, 5), strict=True))
N_IMAGES = sum(COUNTS.values())


def encode(array, form="jpeg"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, quality=95)
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictures():
    """Bytes of a small made-up Caltech-101: coarse random patterns, colour and grey, of several sizes."""
    rng = np.random.default_rng(0)
    files = {}
    for category, count in COUNTS.items():
        for k in range(count):
            shape = (7, 7) if k % 4 == 0 else (7, 7, 3)
            small = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
            big = small.resize((60 + 3 * k, 50), Image.Resampling.BICUBIC)
            files[f"{category}/image_{k + 1:04d}.jpg"] = encode(np.asarray(big))
    files["accordion/image_0001.jpg"] = encode(np.zeros((30, 30), np.uint8))  # not one of the ten
    return files


def write_folder(root, files):
    for name, raw in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    return root


def tar_bytes(files, prefix="", mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, raw in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path, pictures):
    (tmp_path / "caltech101-10.tar").write_bytes(tar_bytes(pictures))
    return tmp_path


def rows(X):
    return {row.tobytes() for row in X}


# --- split and copies


@pytest.mark.parametrize("view", ["object", "grey", "orientations"])
@pytest.mark.parametrize("shift", [0, 2])
def test_no_copy_of_a_test_image_is_trained_on(folder, view, shift):
    for seed in range(3):
        X_train, X_test, _, _ = caltech101(folder, view=view, oversample=30, oversample_test=10, shift=shift, seed=seed)
        assert len(rows(X_test)) == sum(max(1, round(0.2 * n)) for n in COUNTS.values())
        assert not rows(X_train) & rows(X_test)


def test_images_that_occur_twice_cannot_leak(tmp_path, pictures):
    """Ten copies of one image in the set itself: they count as one image."""
    twins = {f"umbrella/image_{k:04d}.jpg": pictures["umbrella/image_0001.jpg"] for k in range(100, 110)}
    write_folder(tmp_path, pictures | twins)
    X_train, X_test, _, _ = caltech101(tmp_path, oversample=None)
    assert len(X_train) + len(X_test) == N_IMAGES
    assert not rows(X_train) & rows(X_test)


def test_split_is_four_to_one_in_each_category_and_complete(folder):
    X_train, X_test, y_train, y_test = caltech101(folder, oversample=None)
    counts = np.array([*COUNTS.values()])
    n_test = np.maximum(1, np.rint(0.2 * counts)).astype(int)
    assert_array_equal(np.bincount(y_test), n_test)
    assert_array_equal(np.bincount(y_train), counts - n_test)
    assert len(rows(X_train) | rows(X_test)) == N_IMAGES


def test_oversampling_copies_each_image_equally_often(folder):
    X_train, _, y_train, y_test = caltech101(folder, oversample=30, oversample_test=7)
    assert_array_equal(np.bincount(y_train), 30)
    assert_array_equal(np.bincount(y_test), 7)
    for k in range(10):
        copies = np.unique(X_train[y_train == k], axis=0, return_counts=True)[1]
        assert len(copies) == list(COUNTS.values())[k] - max(1, round(0.2 * list(COUNTS.values())[k]))
        assert np.ptp(copies) <= 1


def test_larger_categories_are_cut(folder):
    X_train, _, y_train, _ = caltech101(folder, oversample=6)
    assert_array_equal(np.bincount(y_train), 6)
    airplanes = X_train[y_train == CALTECH_CATEGORIES.index("airplanes")]
    assert len(rows(airplanes)) == 6  # six different ones of sixteen


def test_the_split_depends_on_the_seed_only(folder):
    first = caltech101(folder, oversample=None, seed=1)
    again = caltech101(folder, oversample=30, shift=1, seed=1)
    other = caltech101(folder, oversample=None, seed=2)
    assert_array_equal(first[1], again[1])
    assert rows(first[0]) <= rows(again[0])  # each training image is there unmoved
    assert rows(first[1]) != rows(other[1])


def test_training_order_is_shuffled(folder):
    y_train = caltech101(folder, oversample=30)[2]
    assert np.count_nonzero(np.diff(y_train)) > 200  # 270 expected of 299; 9 if sorted


# --- sources


def test_all_layouts_give_the_same_data(tmp_path, pictures):
    categories = write_folder(tmp_path / "plain", pictures)
    write_folder(tmp_path / "full" / "101_ObjectCategories", pictures)
    for name, mode in (("tar", "w"), ("gz", "w:gz"), ("zip", "w:gz")):
        (tmp_path / name).mkdir()
        raw = tar_bytes(pictures, "" if name == "tar" else "./101_ObjectCategories/", mode)
        if name == "tar":
            (tmp_path / name / "caltech101-10.tar").write_bytes(raw)
        elif name == "gz":
            (tmp_path / name / "101_ObjectCategories.tar.gz").write_bytes(raw)
        else:
            with zipfile.ZipFile(tmp_path / name / "caltech-101.zip", "w") as archive:
                archive.writestr("caltech-101/101_ObjectCategories.tar.gz", raw)
    expected = caltech101(categories, oversample=20)
    for name in ("full", "tar", "gz", "zip"):
        for a, b in zip(caltech101(tmp_path / name, oversample=20), expected, strict=True):
            assert_array_equal(a, b)


def test_environment_finds_the_subfolder(tmp_path, pictures, monkeypatch):
    write_folder(tmp_path / "caltech101", pictures)
    monkeypatch.setenv("HRSNN_DATA", str(tmp_path))
    assert len(caltech101(oversample=None)[0]) == N_IMAGES - sum(max(1, round(0.2 * n)) for n in COUNTS.values())


def boxed(pictures):
    """Pictures of which one is black with a white rectangle, and its box."""
    image = np.zeros((50, 60), np.uint8)
    image[10:30, 20:50] = 255
    return pictures | {"airplanes/image_0001.jpg": encode(image)}, (20, 10, 50, 30)


def count_white(data):
    """Number of images that are one even white."""
    return sum(int((X > 250).all(1).sum()) for X in data[:2])


def test_boxes_from_the_table_and_from_the_annotations_crop_alike(tmp_path, pictures):
    files, (x0, y0, x1, y1) = boxed(pictures)
    for name in ("without", "table", "official"):
        write_folder(tmp_path / name / "101_ObjectCategories", files)
    with open(tmp_path / "table" / "index.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "x0", "y0", "x1", "y1"])
        writer.writerow(["airplanes/image_0001.jpg", x0 + 2, y0 + 2, x1 - 2, y1 - 2])
        writer.writerow(["airplanes/image_0002.jpg", "", "", "", ""])
    official = tmp_path / "official" / "Annotations" / "Airplanes_Side_2"
    official.mkdir(parents=True)
    savemat(official / "annotation_0001.mat", {"box_coord": np.array([[y0 + 2, y1 - 2, x0 + 2, x1 - 2]])})
    data = {name: caltech101(tmp_path / name, "grey", oversample=None) for name in ("without", "table", "official")}
    assert [count_white(d) for d in data.values()] == [0, 1, 1]
    for a, b in zip(data["table"], data["official"], strict=True):
        assert_array_equal(a, b)


def test_boxes_inside_the_downloaded_archive(tmp_path, pictures):
    files, (x0, y0, x1, y1) = boxed(pictures)
    stream = io.BytesIO()
    savemat(stream, {"box_coord": np.array([[y0 + 2, y1 - 2, x0 + 2, x1 - 2]])})
    with zipfile.ZipFile(tmp_path / "caltech-101.zip", "w") as archive:
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", tar_bytes(files, "101_ObjectCategories/", "w:gz"))
        mats = {"Annotations/Airplanes_Side_2/annotation_0001.mat": stream.getvalue()}
        archive.writestr("caltech-101/Annotations.tar", tar_bytes(mats))
    assert count_white(caltech101(tmp_path, "grey", oversample=None)) == 1


# --- errors


def test_damaged_files_are_named(tmp_path, pictures):
    name = "pigeon/image_0003.jpg"
    for k, raw in enumerate((b"no picture", pictures[name][:400])):
        root = write_folder(tmp_path / str(k), pictures | {name: raw})
        with pytest.raises(ValueError, match=f"{name} is not a readable image"):
            caltech101(root)


def test_damaged_archives(tmp_path, pictures):
    raw = tar_bytes(pictures)
    (tmp_path / "caltech101-10.tar").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ValueError, match=r"caltech101-10\.tar is damaged or truncated"):
        caltech101(tmp_path)
    (tmp_path / "101_ObjectCategories.tar.gz").write_bytes(tar_bytes(pictures, mode="w:gz")[:-5000])
    with pytest.raises(ValueError, match=r"101_ObjectCategories\.tar\.gz is damaged or truncated"):
        caltech101(tmp_path)
    with zipfile.ZipFile(tmp_path / "caltech-101.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FileNotFoundError, match=r"caltech-101\.zip has fewer than two images .* of: yin_yang, saxo"):
        caltech101(tmp_path)


def test_missing_categories_are_named(tmp_path, pictures):
    some = {n: raw for n, raw in pictures.items() if not n.startswith(("wrench", "buddha"))}
    with pytest.raises(FileNotFoundError, match=r"fewer than two images .* of: wrench, buddha\."):
        caltech101(write_folder(tmp_path, some))


def test_bad_boxes(folder):
    table = folder / "index.csv"
    table.write_text("file,x0,y0,x1,y1\npigeon/image_0001.jpg,500,10,600,20\n")
    with pytest.raises(ValueError, match=r"pigeon/image_0001.jpg: the box \(500, 10, 600, 20\) lies outside"):
        caltech101(folder)
    for text in ("file,x0\npigeon/image_0001.jpg,5\n", "file,x0,y0,x1,y1\nimage_0001.jpg,a,2,3,4\n", "a,b\n1,2\n"):
        table.write_text(text)
        with pytest.raises(ValueError, match=r"index\.csv: no box can be read from"):
            caltech101(folder)
    table.unlink()
    (folder / "Annotations" / "wrench").mkdir(parents=True)
    (folder / "Annotations" / "wrench" / "annotation_0001.mat").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"wrench/annotation_0001\.mat holds no box_coord"):
        caltech101(folder)


def test_bad_arguments(folder):
    with pytest.raises(ValueError, match="view must be one of 'object', 'grey', 'orientations', got 'red'"):
        caltech101(folder, view="red")
    with pytest.raises(ValueError, match="oversample must be at least 1 or None, got 0"):
        caltech101(folder, oversample=0)
    with pytest.raises(ValueError, match="oversample_test must be at least 1 or None, got -1"):
        caltech101(folder, oversample_test=-1)
    with pytest.raises(ValueError, match="shift must be 0 to 13 pixels, got 14"):
        caltech101(folder, shift=14)
    with pytest.raises(FileNotFoundError, match="Caltech-101 is not in"):
        caltech101(folder / "..", oversample=1)


@pytest.mark.skipif("HRSNN_DATA" not in os.environ, reason="the real files are found through HRSNN_DATA")
def test_real_images():
    X_train, X_test, y_train, y_test = caltech101(oversample=None)
    counts = np.bincount(y_train) + np.bincount(y_test)
    assert counts.min() >= 39  # wrench, the smallest category
    assert counts[:6].tolist() == [60, 40, 64, 39, 82, 85]
    assert not rows(X_train) & rows(X_test)
    assert np.median(X_train) < 80  # dark background
    assert (np.percentile(X_train, 99, axis=1) > 240).all()  # bright object
