"""What the command line and a registration load, loaded before processes are forked."""

import gc
import importlib
import tempfile
from pathlib import Path

import torch

from audiostyle.mlflow_client import mlflow

torch.set_num_threads(1)
for _name in (
    *("audiostyle.store.s3", "pipeline.cli", "pipeline.local", "pipeline.one_pair"),
    *("components.preprocess.preprocess", "components.train.train", "components.train.register"),
    *("components.stylize.stylize", "components.reconstruct.reconstruct", "librosa.filters"),
):
    importlib.import_module(_name)
with tempfile.TemporaryDirectory() as _folder:  # MLflow's writing of a model
    mlflow.pytorch.save_model(
        torch.nn.Linear(1, 1),
        Path(_folder) / "model",
        input_example=torch.zeros(2, 1).numpy(),
        serialization_format="pt2",
        pip_requirements=["torch", "numpy"],
    )
gc.collect()
gc.freeze()  # or every process would touch, and so copy, every object
