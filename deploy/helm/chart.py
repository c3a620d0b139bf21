#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the Helm chart of a provider of class open (`make chart`), into build/chart.

    trusted-pods-provider-VERSION.tgz          the chart, called by the project's version
    kustomize/                                 a base: answers.toml and market.toml are files of it
    trusted-pods-provider-image-VERSION.tar    the image that it runs (container_image.py), as an OCI archive

Helm is a module of Go, built once from the version and with the sum that stand here.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("debian", "setup", "images"))]

import container_image  # noqa: E402
import yaml  # noqa: E402
from deb import parts_of, version_of  # noqa: E402
from oci import archive  # noqa: E402
from recipes import CannotBuild  # noqa: E402
from wheels import NotBuildable, kept_part, run  # noqa: E402

from trustedpods.localnet.cluster import binaries  # noqa: E402

CHART = HERE / "chart"
EXAMPLE = HERE / "example-values.yaml"

HELM_MODULE = "helm.sh/helm/v3"
HELM_VERSION = "v3.22.0"
HELM_SUM = "h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU="
"""Of the module's files, as Go's checksum database has it."""

KUBE_VERSION = binaries.KUBERNETES_VERSION
"""What is rendered for where no cluster is asked."""

ANYWHERE = ("--set", "nodeSelector=null")
"""In kustomize's form: a node's name in a base would have to be patched away."""

KUSTOMIZATION = """\
# SPDX-License-Identifier: Apache-2.0
# A base. Your own kustomization has it in `resources`, has answers.toml and market.toml of its own
# (`behavior: merge`), and names the image. Answers that change have another name: the provider's pod is
# made anew.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: trusted-pods
resources: [all.yaml]
configMapGenerator:
  - {{name: {name}, files: [{files}]}}
"""


def helm() -> Path:
    """Helm's program, built where it is not there yet (two minutes). NotBuildable says why it cannot be."""
    return kept_part(binaries.cache() / f"helm-{HELM_VERSION}", _build_helm)


def _build_helm(target: Path) -> None:
    where = target.parent
    module = f"{HELM_MODULE}@{HELM_VERSION}"
    told = json.loads(run(["go", "mod", "download", "-json", module], {}, where))
    if told["Sum"] != HELM_SUM:
        raise NotBuildable(f"{module} has the sum {told['Sum']}, and not {HELM_SUM}")
    settings = {"CGO_ENABLED": "0", "GOBIN": str(where), "GOFLAGS": ""}
    argv = ["go", "install", "-trimpath", "-ldflags=-s -w", f"{HELM_MODULE}/cmd/helm@{HELM_VERSION}"]
    run(argv, settings, where)
    (where / "helm").rename(target)


def lint(values: Path) -> str:
    """What Helm says of the chart with these values; NotBuildable where something is wrong."""
    return run([str(helm()), "lint", "--strict", str(CHART), "--values", str(values)], {})


def rendered(values: Sequence[Path], *options: str, chart: Path = CHART) -> str:
    """All objects of the *chart*; NotBuildable has Helm's last line where values are refused."""
    files = [word for path in values for word in ("--values", str(path))]
    argv = [str(helm()), "template", "provider", str(chart), *files, "--kube-version", KUBE_VERSION]
    return run([*argv, "--namespace", "trusted-pods", *options], {})


def package(root: Path, out: Path) -> Path:
    """The chart as a file in *out*."""
    version = version_of(root)
    argv = [str(helm()), "package", str(CHART), "--destination", str(out)]
    run([*argv, "--version", version, "--app-version", version], {})
    return out / f"trusted-pods-provider-{version}.tgz"


def kustomize(chart: Path, out: Path) -> Path:
    """The packaged chart as a base for kustomize, in a folder of *out*."""
    folder = out / "kustomize"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    objects = [one for one in yaml.safe_load_all(rendered([EXAMPLE], *ANYWHERE, chart=chart)) if one]
    (answers,) = (one for one in objects if one["kind"] == "ConfigMap")
    for name, text in answers["data"].items():
        (folder / name).write_text(text)
    others = [one for one in objects if one is not answers]
    (folder / "all.yaml").write_text(yaml.safe_dump_all(others, sort_keys=False))
    told = KUSTOMIZATION.format(name=answers["metadata"]["name"], files=", ".join(answers["data"]))
    (folder / "kustomization.yaml").write_text(told)
    return folder


def image_archive(root: Path, out: Path) -> Path:
    """The image that the chart runs, as an OCI archive in *out*."""
    version = version_of(root)
    made = out / f"trusted-pods-provider-image-{version}.tar"
    made.write_bytes(archive(container_image.provider(root, parts_of(root, out), version, out)))
    return made


def main() -> int:
    """Exit code 2 where nothing could be built, and why."""
    root, out = Path.cwd(), Path("build/chart").resolve()
    out.mkdir(parents=True, exist_ok=True)
    try:
        lint(EXAMPLE)
        chart = package(root, out)
        made = [chart, kustomize(chart, out), image_archive(root, out)]
    except (NotBuildable, CannotBuild, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("".join(f"{path.relative_to(root)}\n" for path in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
