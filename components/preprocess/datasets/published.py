"""The data sets known by name: where they are published, how large, under what licence."""

from dataclasses import dataclass

from audiostyle.errors import InputError


@dataclass(frozen=True)
class File:
    """A published file. hash: `md5:…` or `sha256:…`, empty where none was published."""

    url: str
    hash: str = ""
    size: int | None = None

    @property
    def name(self) -> str:
        """Of the file on disk."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """A data set by name. size: bytes to download, about."""

    name: str
    title: str
    files: tuple[File, ...]
    size: int
    licence: str
    citation: str
    note: str = ""


_ZENODO = "https://zenodo.org/records"
_MAGENTA = "http://download.magenta.tensorflow.org/datasets/nsynth"

PUBLISHED = {
    found.name: found
    for found in (
        Published(
            "urbansound8k",
            "8,732 clips of up to 4 s, 10 classes of city sounds, 10 folds",
            (
                File(
                    f"{_ZENODO}/1203745/files/UrbanSound8K.tar.gz",
                    "md5:9aa69802bbf37fb986f71ec1483a196e",
                ),
            ),
            6_000_000_000,
            "CC BY-NC 3.0",
            "J. Salamon, C. Jacoby, J. P. Bello: A Dataset and Taxonomy for Urban Sound Research,"
            " ACM Multimedia 2014",
        ),
        Published(
            "analyticsvidhya-urban",
            "5,435 labelled clips of UrbanSound8K, as a contest gave them out (the paper's own)",
            (),
            0,
            "CC BY-NC 3.0",
            "Analytics Vidhya, Practice Problem: Urban Sound Classification",
            "given out behind a login: download train.zip by hand and use --from FILE;"
            " no checksum was published",
        ),
        Published(
            "esc50",
            "2,000 clips of 5 s, 50 classes of environmental sounds, 5 folds",
            (File("https://github.com/karoldvl/ESC-50/archive/master.zip"),),
            600_000_000,
            "CC BY-NC 3.0",
            "K. J. Piczak: ESC: Dataset for Environmental Sound Classification,"
            " ACM Multimedia 2015",
            "made anew by the host now and then: no checksum was published",
        ),
        Published(
            "esc10",
            "400 clips of 5 s, 10 classes of environmental sounds, 5 folds",
            (File("https://github.com/karoldvl/ESC-10/archive/master.zip"),),
            40_000_000,
            "CC BY 3.0",
            "K. J. Piczak: ESC: Dataset for Environmental Sound Classification,"
            " ACM Multimedia 2015",
            "made anew by the host now and then: no checksum was published",
        ),
        Published(
            "irmas",
            "6,705 excerpts of 3 s of music by predominant instrument, 11 classes",
            (
                File(
                    f"{_ZENODO}/1290750/files/IRMAS-TrainingData.zip",
                    "md5:4fd9f5ed5a18d8e2687e6360b5f60afe",
                ),
            ),
            3_200_000_000,
            "CC BY-NC-SA 3.0",
            "J. J. Bosch et al.: A Comparison of Sound Segregation Techniques for Predominant"
            " Instrument Recognition in Musical Audio Signals, ISMIR 2012",
        ),
        Published(
            "medley-solos-db",
            "21,571 clips of 3 s of solo instruments, 8 classes",
            (
                File(
                    f"{_ZENODO}/3464194/files/Medley-solos-DB_metadata.csv",
                    "md5:fda6a589c56785f2195c9227809c521a",
                ),
                File(
                    f"{_ZENODO}/3464194/files/Medley-solos-DB.tar.gz",
                    "md5:f5facf398793ef5c1f80c013afdf3e5f",
                ),
            ),
            7_900_000_000,
            "CC BY 4.0",
            "V. Lostanlen, C.-E. Cella: Deep Convolutional Networks on the Pitch Spiral for"
            " Musical Instrument Recognition, ISMIR 2016",
        ),
        Published(
            "nsynth",
            "305,979 notes of 4 s of 1,006 instruments, 11 families",
            tuple(
                File(f"{_MAGENTA}/nsynth-{part}.jsonwav.tar.gz")
                for part in ("train", "valid", "test")
            ),
            25_000_000_000,
            "CC BY 4.0",
            "J. Engel et al.: Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders,"
            " ICML 2017",
            "no checksum was published",
        ),
        Published(
            "speechcommands",
            "105,829 words of 1 s, 35 classes",
            (
                File(
                    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                    "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                ),
            ),
            2_400_000_000,
            "CC BY 4.0",
            "P. Warden: Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition,"
            " arXiv:1804.03209",
        ),
    )
}


def named(name: str) -> Published:
    """The data set of a name. Raises InputError listing the names there are."""
    if name not in PUBLISHED:
        raise InputError(
            f"data: {name} does not exist, and no data set has that name; by name:"
            f" {', '.join(PUBLISHED)}"
        )
    return PUBLISHED[name]
