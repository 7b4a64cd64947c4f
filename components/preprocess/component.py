"""The kfp face of the preprocess stage."""

from kfp import dsl


@dsl.component(base_image="audiostyle/preprocess", install_kfp_package=False)
def preprocess(
    spectrograms: dsl.Output[dsl.Dataset],
    data: str,
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    data_version: str = "",
    mirror: str = "",
    cache: str = "",
) -> None:
    """Turn a labeled data set into a spectrogram set.

    Args:
        spectrograms: The spectrogram set.
        data: Folder, manifest or archive, its address (https://, s3://), or a data set's name.
        config: Settings of the stage; the defaults are used for what is not there.
        data_version: Anything that changes when the data does, so that the cache is missed then.
        mirror: Address of a folder with a named data set's files.
        cache: URI of the spectrogram cache; wins over that of the settings.
    """
    import tempfile
    from pathlib import Path

    from audiostyle.command import task
    from components.preprocess.config import PreprocessConfig
    from components.preprocess.fetch import located
    from components.preprocess.preprocess import preprocess

    with task(), tempfile.TemporaryDirectory(prefix="audiostyle-") as home:
        settings = PreprocessConfig.parse(config, "config of preprocess")
        settings = settings.model_copy(update={"cache": cache or settings.cache})
        folder = located(data, Path(home), mirror=mirror)
        preprocess(folder, spectrograms.path, settings, name=data)
        spectrograms.metadata["data_version"] = data_version
