# deploy/build.sh for those who have buildx:  docker buildx bake --file deploy/docker-bake.hcl
# Settings come from the environment under the names that build.sh uses; see README.md.

variable "VERSION" { default = "0.2.0" }
variable "REVISION" { default = "" }
variable "IMAGE_PREFIX" { default = "audiostyle" }
variable "BASE_IMAGE" { default = "" }
variable "TORCH_INDEX" { default = "" }
# PyPI's torch is a build for CUDA.
variable "CUDA_TORCH_INDEX" { default = "https://pypi.org/simple" }
variable "PIP_CONF" { default = "" }
variable "CA_BUNDLE" { default = "" }

group "default" {
  targets = ["preprocess", "train", "stylize", "reconstruct"]
}

# The two stages that a GPU makes faster.
group "cuda" {
  targets = ["train-cuda", "stylize-cuda"]
}

# A null argument leaves the Dockerfile's own default.
target "stage" {
  context    = "."
  dockerfile = "deploy/Dockerfile"
  args = {
    VERSION     = VERSION
    REVISION    = REVISION
    BASE_IMAGE  = BASE_IMAGE == "" ? null : BASE_IMAGE
    TORCH_INDEX = TORCH_INDEX == "" ? null : TORCH_INDEX
  }
  secret = concat(
    PIP_CONF == "" ? [] : ["type=file,id=pip_conf,src=${PIP_CONF}"],
    CA_BUNDLE == "" ? [] : ["type=file,id=ca,src=${CA_BUNDLE}"],
  )
}

target "preprocess" {
  inherits = ["stage"]
  args     = { STAGE = "preprocess" }
  tags     = ["${IMAGE_PREFIX}/preprocess:${VERSION}"]
}

target "train" {
  inherits = ["stage"]
  args     = { STAGE = "train" }
  tags     = ["${IMAGE_PREFIX}/train:${VERSION}"]
}

target "stylize" {
  inherits = ["stage"]
  args     = { STAGE = "stylize" }
  tags     = ["${IMAGE_PREFIX}/stylize:${VERSION}"]
}

target "reconstruct" {
  inherits = ["stage"]
  args     = { STAGE = "reconstruct" }
  tags     = ["${IMAGE_PREFIX}/reconstruct:${VERSION}"]
}

target "train-cuda" {
  inherits = ["train"]
  args     = { TORCH_INDEX = CUDA_TORCH_INDEX }
  tags     = ["${IMAGE_PREFIX}/train:${VERSION}-cuda"]
}

target "stylize-cuda" {
  inherits = ["stylize"]
  args     = { TORCH_INDEX = CUDA_TORCH_INDEX }
  tags     = ["${IMAGE_PREFIX}/stylize:${VERSION}-cuda"]
}
