"""The ruler of transfers: what it measures, and that its two sides share nothing."""

from collections.abc import Iterable

import numpy as np
import pytest
from conftest import RATE, noise, tone

from audiostyle.audio import Recording
from benchmarks import measures
from benchmarks.pairs import TruePair
from benchmarks.quality import drum_kits, kinds, note_posteriors, playing
from benchmarks.quality.scores import Reference, onset_score, scores
from benchmarks.quality.textures import texture


def prepared(samples: np.ndarray) -> np.ndarray:
    return measures.prepared(Recording(samples[None], RATE))


@pytest.mark.parametrize("sides", [playing.CHORDAL, playing.RECORDED, drum_kits.KITS])
def test_no_instrument_is_on_both_sides(sides: dict[str, Iterable[object]]) -> None:
    assert not set(sides["development"]) & set(sides["heldout"])


def test_speech_is_compared_where_the_words_are_the_same() -> None:
    """Said slower and with a pause, a content is as near to its target as when said alike."""
    rise = np.concatenate([tone(f, seconds=0.4, harmonics=9) for f in (150, 220, 330, 180)])
    slow = np.concatenate([tone(f, seconds=0.7, harmonics=9) for f in (150, 220, 330, 180)])
    content, target = prepared(rise), prepared(slow)
    path = measures.alignment(content, target)
    assert tuple(path[0]) == (0, 0) and (np.diff(path, axis=0) >= 0).all()
    other = prepared(noise(seconds=2.8))
    assert measures.lsd(content, target, path) < 0.5 * measures.lsd(other, target, path)


def test_a_texture_is_nearer_to_itself_than_to_others() -> None:
    random = np.random.default_rng(1)
    hiss = [prepared(random.standard_normal(2 * RATE).astype(np.float32)) for _ in range(2)]
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[:: RATE // 8] = 1
    assert texture(hiss[0]).distance(texture(hiss[1])) < 0.2 * texture(hiss[0]).distance(
        texture(prepared(clicks))
    )


def test_onsets_that_are_kept_and_lost() -> None:
    beats = np.zeros(3 * RATE, np.float32)
    for at in range(8):
        beats[at * RATE // 3 + 2000 : at * RATE // 3 + 4000] = noise(seconds=2000 / RATE)[:2000]
    assert onset_score(beats, beats) == 1
    half = beats.copy()
    half[RATE * 3 // 2 :] = 0
    assert onset_score(half, beats) < 0.9


def test_every_measure_of_a_pair() -> None:
    content, target = (prepared(tone(330, harmonics=h)) for h in (3, 12))
    style = prepared(tone(392, harmonics=12))
    found = scores(content, Reference(TruePair("a", content, style, target)))
    assert found["gain"] == pytest.approx(0, abs=1e-6)
    best = scores(target, Reference(TruePair("a", content, style, target)))
    assert best["gain"] == pytest.approx(1) and best["timbre"] < found["timbre"]
    effect = scores(content, Reference(TruePair("a", content, style, None, "fx")))
    assert "gain" not in effect and effect["texture"] > 0


@pytest.mark.skipif(not note_posteriors.available(), reason="needs basic-pitch and onnxruntime")
def test_notes_are_heard() -> None:
    chord = prepared(np.sum([tone(f, harmonics=6, level=0.1) for f in (261.6, 329.6, 392.0)], 0))
    found = note_posteriors.posteriors(chord)
    assert found.shape == (1 + len(chord) // 256, 88)
    loudest = set(np.argsort(found[20:200].mean(0))[-3:] + 21)
    assert loudest == {60, 64, 67}
    assert note_posteriors.distance(found, found) == 0


@pytest.mark.skipif(not measures.can_hear_words(), reason="needs pystoi")
def test_words_are_lost_in_noise() -> None:
    pairs, lacking = kinds.pairs_of("speech", "development", 1)
    if lacking:
        pytest.skip(lacking)
    (pair,) = pairs
    assert measures.estoi(pair.content, pair.content) == pytest.approx(1, abs=0.01)
    buried = pair.content + noise(seconds=len(pair.content) / RATE)[: len(pair.content)]
    assert measures.estoi(buried, pair.content) < 0.5


@pytest.mark.parametrize("kind", ["drums", "real", "chords", "duet"])
def test_what_is_played_is_the_same_each_time(kind: str) -> None:
    if lacking := playing.missing(kind, "development"):
        pytest.skip(lacking)
    first, second = (playing.PLAYED[kind]("development", 1)[0] for _ in range(2))
    assert first.id == second.id
    np.testing.assert_array_equal(first.target, second.target)
    assert first.target is not None
    assert measures.lsd(first.content, first.target) > 1
