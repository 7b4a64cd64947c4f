"""The kfp face of the reconstruct stage."""

from kfp import dsl


@dsl.component(base_image="audiostyle/reconstruct", install_kfp_package=False)
def reconstruct(
    stylized: dsl.Input[dsl.Artifact],
    classifier: dsl.Input[dsl.Model],
    audio: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    excerpt: dsl.Output[dsl.Artifact],
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    registration: dict = {},  # noqa: B006
) -> None:
    """Turn stylized spectrograms into recordings and a report page.

    Args:
        stylized: The stylized set.
        classifier: The classifier, whose training the page shows.
        audio: The audio set: recordings and report.html.
        report: The report as one page, for the cluster's UI.
        metrics: Its headline figures.
        excerpt: The report as one file and a few recordings, for the registry; only with
            `registration`.
        config: Settings of the stage; the defaults are used for what is not there.
        registration: What the registry says of the classifier.
    """
    import json
    from pathlib import Path

    from audiostyle.command import task
    from components.reconstruct.config import ReconstructConfig
    from components.reconstruct.reconstruct import reconstruct
    from components.reconstruct.report.excerpt import write_excerpt
    from components.reconstruct.report.page import embedded_html

    with task():
        settings = ReconstructConfig.parse(config, "config of reconstruct")
        figures = reconstruct(stylized.path, audio.path, settings, classifier.path, registration)
        for name, value in figures.items():
            metrics.log_metric(name, value)
        # Metadata is what kfp shows, but its local cache trusts only artifacts that are there.
        Path(metrics.path).write_text(json.dumps(metrics.metadata), encoding="utf-8")
        Path(report.path).write_text(embedded_html(Path(audio.path)), encoding="utf-8")
        if registration:
            write_excerpt(audio.path, excerpt.path)
