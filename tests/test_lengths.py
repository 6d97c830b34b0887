"""How long files are by their packets, which streams are taken, and clips that must not be scored by their label."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from avbench.data.batches import load_clip
from avbench.data.lengths import notes_on, probe_files, seconds_by_id
from avbench.data.placement import MOST_CLIPS, oracle, sliding, too_long
from avbench.media.placing import Place
from avbench.media.reading import probe
from avbench.media.recordings import Stamp, laid_out
from avbench.perturbations.open_clip import OpenClip
from avbench.types import ClipSpec, Forgery, MediaError, MediaInfo, Reason, Sample
from making_media import moment_heard, moment_seen, recording, tone, with_box_value, written

SHORT = ClipSpec(frames=10, size=32)  # 0.4 s
BOTH = frozenset({"video", "audio"})
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVBENCH_CACHE", str(tmp_path / "cache"))


def told(path: Path, start: float) -> tuple[float, float]:
    """Return how far what is seen and heard of a clip lies behind its start."""
    clip = OpenClip(path, SHORT, Place.start(start)).clean()
    assert clip.valid_frames == 10 and clip.valid_samples == 6400
    return moment_seen(clip.frames[0]) - start, moment_heard(clip.sound) - start - 0.2


@pytest.mark.parametrize("container", ["webm", "matroska", "avi", "flv", "mpegts", "mpeg", "mp4"])
def test_a_stream_that_was_never_closed_is_as_long_as_its_packets(container: str, tmp_path: Path) -> None:
    data = recording(container, seen=3, heard=3, streamed=True, options=FRAGMENTS if container == "mp4" else None)
    info = probe(written(tmp_path / "clip", data))
    assert info.duration == pytest.approx(3, abs=0.05) and info.frames == 75
    assert told(tmp_path / "clip", 2.5) == pytest.approx((0, 0), abs=0.1)


@pytest.mark.parametrize("container", ["adts", "mp3", "wav", "ogg"])
def test_sound_that_was_never_closed_is_as_long_as_its_packets(container: str, tmp_path: Path) -> None:
    options = {"write_xing": "0"} if container == "mp3" else None
    data = recording(container, heard=3, streamed=True, options=options)
    assert probe(written(tmp_path / "clip", data)).duration == pytest.approx(3, abs=0.06)


def test_a_header_in_another_time_scale_is_not_believed_and_told_of(tmp_path: Path) -> None:
    whole = recording("mp4", seen=4, heard=4)
    wrong = probe(written(tmp_path / "wrong.mp4", with_box_value(whole, b"mdhd", 1000)))
    assert wrong.duration == pytest.approx(4) and wrong.claims_too_much == pytest.approx(-3.92, abs=0.01)
    right = probe(written(tmp_path / "right.mp4", whole))
    assert right.duration == pytest.approx(4) and right.claims_too_much == 0 and right.told == pytest.approx(4)


def at_a_damaged_rate(seconds: float) -> bytes:
    """Return an AVI whose header says that each picture is shown for 68 years."""
    data = bytearray(recording("avi", seen=seconds, heard=1.0))
    place = data.index(b"vids") + 20
    data[place : place + 8] = struct.pack("<II", 2**31 - 1, 1)
    return bytes(data)


def test_a_damaged_frame_rate_makes_no_film_of_years(tmp_path: Path) -> None:
    assert probe(written(tmp_path / "one.avi", at_a_damaged_rate(0.04))).duration <= 10
    with pytest.raises(MediaError, match="its frame rate is damaged") as caught:
        probe(written(tmp_path / "many.avi", at_a_damaged_rate(1.0)))
    assert caught.value.reason == Reason.UNREADABLE


def test_one_long_packet_of_sound_counts_whole(tmp_path: Path) -> None:
    path = tmp_path / "one.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        (packet,) = stream.encode(frame)
        file.mux(packet)
    assert probe(path).duration == pytest.approx(12)


def test_all_fragments_count(tmp_path: Path) -> None:
    info = probe(written(tmp_path / "a.mp4", recording("mp4", seen=20, options={"movflags": "frag_keyframe"})))
    assert (info.frames, info.duration, info.claims_too_much) == (500, pytest.approx(20), 0)


def test_a_file_cut_off_is_as_long_as_what_is_left(tmp_path: Path) -> None:
    whole = recording("mp4", seen=4, heard=4, to=tmp_path / "whole.mp4", options={"movflags": "faststart"})
    cut = probe(written(tmp_path / "cut.mp4", whole[: len(whole) * 2 // 3]))
    assert 1 < cut.duration < 3.9 and cut.duration == pytest.approx(cut.frames / 25)
    assert cut.claims_too_much == pytest.approx(4 - cut.duration)


@pytest.mark.parametrize("container", ["matroska", "webm", "flv", "mp4", "mpegts"])
def test_the_length_is_that_of_the_pictures_where_the_sound_outlasts_them(container: str, tmp_path: Path) -> None:
    info = probe(written(tmp_path / "clip", recording(container, seen=2, heard=4)))
    assert info.duration == pytest.approx(2, abs=0.01) and info.frames == 50 and info.claims_too_much == 0
    sample = Sample("clip", tmp_path / "clip", Forgery.RARV)
    placed = sliding([sample], SHORT, seconds_by_id([sample], {sample.path: info}))
    assert all(load_clip(request, SHORT, BOTH).valid_frames == 10 for request in placed) and len(placed) == 5


def test_a_length_that_no_file_of_its_size_can_have_is_capped_and_told_of(tmp_path: Path) -> None:
    path = tmp_path / "slow.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        video = file.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for number in range(3):
            frame.pts = number
            for packet in video.encode(frame):
                packet.pts = packet.dts = number if number < 2 else 25 * 10**9
                file.mux(packet)
    info = probe(path)
    assert info.duration == path.stat().st_size / 8 and info.claims_too_much > 1e8


@pytest.mark.parametrize("container", ["mpegts", "mpeg", "matroska", "webm"])
def test_appended_recordings_follow_one_another(container: str, tmp_path: Path) -> None:
    parts = [recording(container, seen=2, heard=2, first=first) for first in (0, 2)]
    info = probe(written(tmp_path / "clip", b"".join(parts)))
    assert info.recordings == 2 and info.duration == pytest.approx(4, abs=0.05) and info.frames == 100
    for start in (0.0, 1.2, 2.2, 3.5):
        assert told(tmp_path / "clip", start) == pytest.approx((0, 0), abs=0.11)


@pytest.mark.parametrize("container", ["flv", "mp4", "fragments"])
def test_what_no_reader_finds_behind_a_recording_is_told_of(container: str, tmp_path: Path) -> None:
    options = FRAGMENTS if container == "fragments" else None
    data = recording(container.replace("fragments", "mp4"), seen=2, heard=2, options=options)
    once, twice = (probe(written(tmp_path / name, data * n)) for name, n in (("once", 1), ("twice", 2)))
    assert once.unread < 0.25 < twice.unread
    notes = list(notes_on([Sample("v", tmp_path / "twice", Forgery.RARV)], {tmp_path / "twice": twice}))
    assert any("more than 25% of the file is behind its last packet: v" in note for note in notes)


def test_sound_of_appended_recordings_keeps_its_moment_whatever_its_rate(tmp_path: Path) -> None:
    parts = [recording("mpegts", seen=2, heard=2, first=f, rate=r) for f, r in ((0, 48_000), (2, 44_100))]
    path = written(tmp_path / "rates.ts", b"".join(parts))
    for start in (0.0, 1.2, 2.2, 3.5):
        assert told(path, start)[1] == pytest.approx(0, abs=0.01)


def test_a_recording_without_sound_has_none_of_the_others(tmp_path: Path) -> None:
    mute, loud = recording("mpegts", seen=2, first=2), recording("mpegts", seen=2, heard=2)
    clip = OpenClip(written(tmp_path / "mute.ts", loud + mute), SHORT, Place.start(2.5)).clean()
    assert clip.valid_frames == 10 and not clip.has_audio and moment_seen(clip.frames[0]) == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("second", [48_000, 44_100, 24_000])
def test_a_rate_that_changes_within_adts_sound(second: int, tmp_path: Path) -> None:
    parts = [recording("adts", heard=2, first=f, rate=r) for f, r in ((0, 48_000), (2, second))]
    path = written(tmp_path / "rates.aac", b"".join(parts))
    assert probe(path).duration == pytest.approx(4, abs=0.15)
    for start in (0.5, 2.5, 3.4):  # each part begins with 21 to 43 ms of the encoder's delay
        clip = OpenClip(path, ClipSpec(frames=0, audio_samples=6400), Place.start(start)).clean()
        assert moment_heard(clip.sound) - start - 0.2 == pytest.approx(-0.06, abs=0.06)
        heard = clip.sound - clip.sound.mean()
        assert np.sqrt((heard**2).mean()) == pytest.approx(0.21, abs=0.02), "nothing is cut out or laid over"


def stamps(*spans: tuple[float, float], position: int = 0, step: float = 0.1) -> list[Stamp]:
    """Return the stamps of packets of `step` s from first to last second of each span."""
    times = [time for first, last in spans for time in np.arange(first, last - 1e-9, step)]
    return [Stamp(position + 10 * k, float(time), step, True) for k, time in enumerate(times)]


def test_gaps_and_restarts_of_stamps() -> None:
    plain = laid_out({0: stamps((0, 2), (20, 21))}, 0)
    assert plain.recordings == 1 and plain.ends[0] == pytest.approx(21) and not plain.shifts
    jumped = laid_out({0: stamps((0, 2), (20, 21))}, 0, ahead=10.0)
    assert jumped.recordings == 2 and jumped.ends[0] == pytest.approx(3)
    assert jumped.shifts[0] == ((20, pytest.approx(-18)),)
    thrice = laid_out({0: stamps((0, 2), (0, 2), (1, 2)), 1: stamps((0, 2), (0, 2), (1, 2), position=5)}, 0)
    assert thrice.recordings == 3 and thrice.ends == {0: pytest.approx(5), 1: pytest.approx(5)}
    assert thrice.shifts[1] == ((20, pytest.approx(2)), (40, pytest.approx(3)))
    stray = stamps((0, 2))
    stray[7] = Stamp(70, -5.0, 0.1, True)
    assert laid_out({0: stray}, 0).recordings == 1, "one odd stamp begins no recording"


def two_tracks(path: Path, kind: str, sizes: tuple[int, int], default: int | None) -> Path:
    """Write two streams of a kind: pictures of two sizes, grey 0 and 200, or sounds of so many channels."""
    with av.open(str(path), "w") as file:
        streams = []
        for number, size in enumerate(sizes):
            if kind == "video":
                stream = file.add_stream("mpeg4", rate=25)
                stream.width = stream.height = size
                stream.pix_fmt = "yuv420p"
            else:
                stream = file.add_stream("aac", rate=48_000, layout="mono" if size == 1 else "stereo")
            stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            streams.append(stream)
        for number, stream in enumerate(streams):
            for k in range(25 if kind == "video" else 47):
                if kind == "video":
                    grey = np.full((stream.height, stream.width, 3), 200 * number, np.uint8)
                    frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
                else:
                    mono = 0.1 * (number + 1) * np.ones((sizes[number], 1024), np.float32)
                    frame = av.AudioFrame.from_ndarray(mono, format="fltp", layout=stream.layout.name)
                    frame.sample_rate = 48_000
                frame.pts = k if kind == "video" else 1024 * k
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("sizes", "default", "chosen"),
    [((64, 64), 0, 1), ((64, 64), 1, 2), ((64, 32), 1, 2), ((32, 64), None, 2), ((64, 32), None, 1)],
)
def test_the_stream_of_pictures_is_the_one_ffmpeg_chooses(
    sizes: tuple[int, int], default: int | None, chosen: int, tmp_path: Path
) -> None:
    path = two_tracks(tmp_path / "two.mkv", "video", sizes, default)
    assert probe(path).video_choice == (chosen, 2)
    grey = OpenClip(path, SHORT, Place.start(0.2)).clean().frames.mean()
    assert grey == pytest.approx(200 * (chosen - 1), abs=5)
    (note,) = notes_on([Sample("two", path, Forgery.RARV)], {path: probe(path)})
    assert note.endswith(f"two ({chosen} of 2)")


@pytest.mark.parametrize(("sizes", "default", "chosen"), [((1, 1), 1, 2), ((1, 1), 0, 1), ((1, 2), None, 2)])
def test_the_stream_of_sound_is_the_one_ffmpeg_chooses(
    sizes: tuple[int, int], default: int | None, chosen: int, tmp_path: Path
) -> None:
    assert probe(two_tracks(tmp_path / "two.mkv", "audio", sizes, default)).audio_choice == (chosen, 2)


def test_sound_of_one_sample_a_second_is_none(tmp_path: Path) -> None:
    sound = recording("wav", heard=2, rate=16_000).replace((16_000).to_bytes(4, "little"), (1).to_bytes(4, "little"), 1)
    with pytest.raises(MediaError, match="neither pictures nor sound"):
        probe(written(tmp_path / "slow.wav", sound))


def test_tags_in_another_encoding_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mkv"
    with av.open(str(path), "w") as file:
        file.metadata["artist"] = "M_ller"
        stream = file.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(0, 1, 48_000)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    data = path.read_bytes()
    assert b"M_ller" in data
    path.write_bytes(data.replace(b"M_ller", "Müller".encode("latin-1")))
    assert probe(path).duration == pytest.approx(1, abs=0.05)
    assert OpenClip(path, ClipSpec(frames=0, audio_samples=800), Place.start(0.2)).clean().has_audio


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_blocks_or_is_no_file_is_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "stalled.mp4")
    found = probe_files([tmp_path / "stalled.mp4", tmp_path / "gone.mp4", tmp_path], workers=1, time_limit=20)
    reasons = [outcome.reason for outcome in found.values() if isinstance(outcome, MediaError)]
    assert reasons == [Reason.UNREADABLE, Reason.MISSING_FILE, Reason.UNREADABLE]
    sample = Sample("stalled.mp4", tmp_path / "stalled.mp4", Forgery.FAFV)
    assert len(sliding([sample], SHORT, seconds_by_id([sample], found))) == 1, "one row, which says why"


def test_files_are_measured_once_and_in_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "clip.webm", recording("webm", seen=1, heard=1, streamed=True))
    first = probe_files([path], workers=1)
    monkeypatch.setattr("avbench.data.lengths.probe", lambda path: pytest.fail("it is known already"))
    assert probe_files([path], workers=0) == first
    info = first[path]
    assert isinstance(info, MediaInfo) and info.duration == pytest.approx(1, abs=0.05) and info.told is None


def test_the_length_of_the_metadata_stands_unless_the_file_has_another(tmp_path: Path) -> None:
    def sample(frames: int | None) -> Sample:
        return Sample(f"{frames}", tmp_path / "clip", Forgery.RARV, fps=25.0 if frames else None, frames=frames)

    samples = [sample(frames) for frames in (None, 100, 103, 50, 10_000)]
    files = {tmp_path / "clip": MediaInfo(4.0, 25.0, 100, True, True, 10**5, told=4.0)}
    assert seconds_by_id(samples, files) == {"None": 4.0, "50": 4.0, "10000": 4.0}
    assert list(notes_on(samples, files)) == [
        "1 of 5 test videos: shorter than the metadata say: 10000",
        "1 of 5 test videos: longer than the metadata say: 50",
    ]
    assert len(sliding(samples[-1:], SHORT, seconds_by_id(samples, files))) == 10


def test_clips_of_one_video_are_capped_and_the_cap_is_told() -> None:
    long, short = (Sample(name, Path(name), Forgery.RARV) for name in ("long", "short"))
    lengths = {"long": 1e9, "short": 0.4 * MOST_CLIPS}
    assert len(sliding([long], SHORT, lengths)) == len(sliding([short], SHORT, lengths)) == MOST_CLIPS
    assert too_long([long, short], SHORT, lengths) == ["long"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_clip_that_misses_its_forged_period_is_never_scored(whole: bool, tmp_path: Path) -> None:
    path = written(tmp_path / "clip.mp4", recording("mp4", seen=2, heard=2))
    spec = ClipSpec(frames=50, size=32, whole=True) if whole else SHORT

    def clip_of(*periods: tuple[float, float], forgery: Forgery = Forgery.FAFV) -> object:
        (request,) = oracle([Sample("clip", path, forgery, fake_periods=periods)], spec, 0)
        return load_clip(request, spec, BOTH)

    for periods in ([(5.0, 6.0)], [(2.5, 2.6), (7.0, 8.0)]):
        with pytest.raises(MediaError, match="nothing forged can be shown") as caught:
            clip_of(*periods)
        assert caught.value.reason == Reason.PERIOD_MISSED
        clip_of(*periods, forgery=Forgery.RARV)
        for request in sliding([Sample("clip", path, Forgery.FAFV, fake_periods=periods)], spec, {"clip": 2.0}):
            with pytest.raises(MediaError, match="nothing forged"):
                load_clip(request, spec, BOTH)
    for near in ((0.0, 0.02), (0.5, 1.0), (1.9, 2.0), (1.98, 2.0)):
        clip_of(near)


def test_a_forged_period_behind_where_the_pictures_break_off_is_missed(tmp_path: Path) -> None:
    whole = recording("mp4", seen=4, heard=4, to=tmp_path / "whole.mp4", options={"movflags": "faststart"})
    path = written(tmp_path / "cut.mp4", whole[: len(whole) * 2 // 3])
    end = probe(path).duration
    sample = Sample("cut", path, Forgery.RAFV, fake_periods=((end + 0.5, 3.9),), fps=25.0, frames=100)
    for request in (*oracle([sample], SHORT, 0), *sliding([sample], SHORT, {"cut": 4.0})):
        if request.forgery is Forgery.RAFV:
            with pytest.raises(MediaError) as caught:
                load_clip(request, SHORT, frozenset({"video"}))
            assert caught.value.reason in (Reason.PERIOD_MISSED, Reason.UNREADABLE)


def test_lengths_agree_with_those_of_ffmpeg(tmp_path: Path) -> None:
    """Hold the packets' end against what the ffmpeg program decodes."""
    try:
        subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("ffmpeg is not installed")
    for container in ("webm", "matroska", "mpegts"):
        path = written(tmp_path / container, recording(container, seen=3, heard=4, streamed=True))
        decoded = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path), "-map", "0:v", "-fps_mode"]
        raw = subprocess.run([*decoded, "passthrough", "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
        assert probe(path).frames == len(raw) // (64 * 48 * 3 // 2) == 75
