"""The kfp face of the stylize stage."""

from kfp import dsl


@dsl.component(base_image="audiostyle/stylize", install_kfp_package=False)
def stylize(
    classifier: dsl.Input[dsl.Model],
    stylized: dsl.Output[dsl.Artifact],
    pairs: str,
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    model_name: str = "",
    pairs_version: str = "",
    shard: int = 0,
    shards: int = 1,
    work: str = "",
) -> None:
    """Stylize pairs of recordings: the content of one, the style of the other.

    Args:
        classifier: The classifier whose activations are matched.
        stylized: The stylized set.
        pairs: CSV with the columns id, content, style and optionally target; a file or s3://.
        config: Settings of the stage; the defaults are used for what is not there.
        model_name: What to call the classifier, e.g. its registry URI; its own name otherwise.
        pairs_version: Anything that changes when the pairs do, so that the cache is missed then.
        shard: Number of the task, from 0, of those among which the pairs are dealt.
        shards: How many tasks these are.
        work: Folder, not an output, in which an interrupted task leaves what it has finished.
    """
    from audiostyle.command import task
    from components.stylize.config import StylizeConfig
    from components.stylize.pairs import read_pairs, shard_of
    from components.stylize.stylize import stylize

    with task(work=work):
        settings = StylizeConfig.parse(config, "config of stylize")
        chosen = shard_of(read_pairs(pairs), shard, shards)
        name = model_name or classifier.metadata.get("model", "")  # as `fetch` named it
        stylized.metadata["errors"] = stylize(
            chosen, classifier.path, stylized.path, settings, name, work or None
        )
        stylized.metadata["pairs_version"] = pairs_version
