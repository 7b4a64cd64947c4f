"""The kfp face of the preprocess stage."""

from kfp import dsl


@dsl.component(base_image="audiostyle/preprocess", install_kfp_package=False)
def preprocess(
    spectrograms: dsl.Output[dsl.Dataset],
    data: str,
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    data_version: str = "",
) -> None:
    """Turn a labelled data set into a spectrogram set.

    Args:
        spectrograms: The spectrogram set.
        data: Folder of the data set.
        config: Settings of the stage; the defaults are used for what is not there.
        data_version: Anything that changes when the data does, so that the cache is missed then.
    """
    from audiostyle.command import task
    from components.preprocess.preprocess import PreprocessConfig, preprocess

    with task():
        preprocess(data, spectrograms.path, PreprocessConfig.parse(config, "config of preprocess"))
        spectrograms.metadata["data_version"] = data_version
