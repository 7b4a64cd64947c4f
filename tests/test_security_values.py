"""Values by strangers that parsers take, and that would then cost time, memory or a traceback.

Found by reading; the fuzz tests find others.
"""

import json
from pathlib import Path

import pytest
import torch

from audiostyle import network, tensors
from audiostyle.errors import ArtifactError, InputError
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.untrusted import yaml_value
from components.stylize.config import StylizeConfig


@pytest.mark.parametrize("value", ["0b" + "1" * 20_000, "0x" + "f" * 20_000, "0" + "7" * 20_000])
def test_a_number_that_cannot_be_shown(tmp_path: Path, value: str) -> None:
    # Python writes no integer of more than 4,300 digits, not even to say that it is too large.
    path = tmp_path / "settings.yaml"
    path.write_text(f"iterations: {value}\n")
    with pytest.raises(
        InputError, match=r"settings\.yaml: (is not YAML: has a number of|iterations)"
    ):
        StylizeConfig.load(path)


@pytest.mark.parametrize("value", ["1" + ":01" * 100_000, "1" + ":01" * 400 + ".5", "1:30"])
def test_numbers_to_the_base_of_sixty_are_text(value: str) -> None:
    # As integers they take the square of their length, as floats they overflow.
    assert yaml_value(f"seed: {value}") == {"seed": value}


def test_numbers_are_decimal_and_all_else_is_text() -> None:
    text = "[017, -3, 1.5e+3, .5, 12345678901234567890, 1_000, 0x1f, 0b11, .inf]"
    values = [17, -3, 1500.0, 0.5, 12345678901234567890, "1_000", "0x1f", "0b11", ".inf"]
    assert yaml_value(text) == values


def test_a_header_of_a_million_tensors(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"t{i}": entry for i in range(30_000)}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ArtifactError, match=rf"header of {len(header)} bytes"):
        tensors.read(path)
    path.write_bytes((2**63).to_bytes(8, "little"))
    with pytest.raises(ArtifactError, match="header of"):
        tensors.read(path)


def test_our_own_headers_are_far_smaller(tmp_path: Path) -> None:
    config = network.NetworkConfig()
    model = network.Classifier(config, SpectrogramConfig(), ["a", "b"])
    network.save(model, tmp_path)
    with (tmp_path / "weights.safetensors").open("rb") as file:
        assert int.from_bytes(file.read(8), "little") < tensors.HEADER_BYTES / 100
    state = tensors.read(tmp_path / "weights.safetensors")
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
