"""Names that ports of a network give to its weights, as the published ones that they stand for.

One network has many files: of torchvision, of repositories for style transfer that have its
convolutions alone, of a training on several GPUs. Their tensors are the same, their names are not.
"""

import re
from collections.abc import Iterable

from audiostyle.errors import InputError

# Of each network: what a name of a port begins with, and what it is here.
_Rules = tuple[tuple[str, str], ...]

# Modules of SoundNet in a row, as Lua's Torch counts them.
_SOUNDNET_ROW = (0, 4, 8, 11, 14, 18, 21)
_RULES: dict[str, _Rules] = {
    "vgg19": ((r"(\d+)\.", r"features.\1."),),  # `features` alone
    "alexnet": ((r"(\d+)\.", r"features.\1."),),
    "vggish": (
        (r"(\d+)\.", r"features.\1."),
        (r"fc\.", "embeddings."),
        (r"features_network\.", "features."),  # torchaudio
        (r"embedding_network\.", "embeddings."),
    ),
    "soundnet": (
        (r"conv8\.0\.", "conv8_objs."),
        (r"conv8_2\.0\.", "conv8_scns."),
        (r"conv(\d)\.0\.", r"conv\1."),
        (r"conv(\d)\.1\.", r"batchnorm\1."),
        *(
            (rf"(?:features\.)?{at + more}\.", f"{part}{number}.")
            for number, at in enumerate(_SOUNDNET_ROW, 1)
            for more, part in enumerate(("conv", "batchnorm"))
        ),
        (r"(?:features\.)?24\.0\.", "conv8_objs."),
        (r"(?:features\.)?24\.1\.", "conv8_scns."),
    ),
}
# First parts of names, which are no wrapper around the network.
_PARTS = re.compile(
    r"(features|classifier|embeddings|fc|features_network|embedding_network|pproc|head"
    r"|pre_logits|(conv|batchnorm)\w*|\d+)\."
)
_CAFFE = (
    "was trained by Caffe on other pictures (blue before red, 0 to 255), for which these inputs"
    " are wrong; torchvision's vgg19-dcbb9e9d.pth is needed"
)
# Of a network: a name that only other networks have, and which these are.
_OTHERS: dict[str, tuple[tuple[str, str], ...]] = {
    "vgg19": (
        (r"conv\d_\d\.weight", _CAFFE),  # Gatys's
        (r"classifier\.4\.weight", _CAFFE),  # Johnson's
        (r"features\.\d+\.running_mean", "is VGG with batch normalization, which is another net"),
    ),
}


def published_names(network: str, names: Iterable[str]) -> dict[str, str]:
    """From each published name to the one that a file has, in the file's order.

    A wrapper around the whole network (`module.` of DataParallel) is left out. A name that no rule
    knows stays as it is. Raises InputError for a network that is known to be another, and for two
    names that stand for one.
    """
    names = list(names)
    wrapper = _wrapper(names)
    published: dict[str, str] = {}
    for name in names:
        short = name.removeprefix(wrapper)
        for start, instead in _RULES[network]:
            if match := re.match(start, short):
                short = match.expand(instead) + short[match.end() :]
                break
        if short in published:
            raise InputError(f"has {published[short]} and {name}, which are both {short}")
        published[short] = name
    for pattern, other in _OTHERS.get(network, ()):
        if any(re.fullmatch(pattern, short) for short in published):
            raise InputError(other)
    return published


def _wrapper(names: list[str]) -> str:
    """What all names begin with, as far as it is no part of a network: `module.` or ""."""
    wrapper = ""
    while names:
        start = names[0].removeprefix(wrapper).partition(".")[0] + "."
        if _PARTS.match(start) or not all(name.startswith(wrapper + start) for name in names):
            break
        wrapper += start
    return wrapper
