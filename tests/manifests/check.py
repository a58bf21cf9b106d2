"""Checks everything below deploy/ that can be checked without a cluster, and prints every command line
and every rendered document in it as JSON.

Run by the test `manifests` with the Python of the environment that `tests/setup.sh test` makes:
    check.py ROOT
Prints {"commands": {"where": [argument, ...], ...}, "documents": {"overlay": [document, ...], ...}}; prints problems
to stderr and exits with 1.
"""

import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import jsonschema
import yaml

VERSIONS = ["1.33", "1.34", "1.35", "1.36", "1.37"]
PROGRAMS = pathlib.Path(sys.executable).parent
# The kubectl of the same environment, if there is one for this system.
KUBECTL = str(PROGRAMS / "kubectl") if (PROGRAMS / "kubectl").exists() else "kubectl"


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, **options)


def rendered(overlay: pathlib.Path, problems: list[str]) -> str:
    result = run(KUBECTL, "kustomize", str(overlay))
    if result.returncode != 0:
        problems.append(f"{overlay.name} does not render: {result.stderr}")
    return result.stdout


def check_schemas(name: str, text: str, folder: pathlib.Path, schema: dict, problems: list[str]) -> None:
    documents = list(yaml.safe_load_all(text))
    own = [document for document in documents if document["apiVersion"].startswith("keda.sh/")]
    for document in own:
        # Fields that KEDA's definition leaves to the kind of scaler.
        for trigger in document["spec"].get("triggers", []):
            if trigger["type"].startswith("external") and "scalerAddress" not in trigger["metadata"]:
                problems.append(f"{name}: an external trigger without an address")
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            problems.append(f"{name}: {document['kind']}: {error.message}")
    kubernetes = folder / f"{name}.yaml"
    kubernetes.write_text(yaml.safe_dump_all([document for document in documents if document not in own]))
    for version in VERSIONS:
        result = run(str(PROGRAMS / "kubernetes-validate"), "--strict", "-k", version, str(kubernetes))
        said = result.stdout + result.stderr
        # The program only warns of a kind without a schema; here that would be a missing check.
        if result.returncode != 0 or "WARN" in said:
            problems.append(f"{name} against {version}: {said}")


def check_pods(name: str, text: str, problems: list[str]) -> None:
    """Checks what must hold for every pod, beyond schemas and policies."""
    documents = list(yaml.safe_load_all(text))
    claims = {document["metadata"]["name"] for document in documents if document["kind"] == "PersistentVolumeClaim"}
    for document in documents:
        template = document.get("spec", {}).get("template") if document.get("spec") else None
        if not template:
            continue
        pod, where = template["spec"], f"{name}: {document['kind']} {document['metadata']['name']}"
        if pod.get("terminationGracePeriodSeconds", 30) < 15:
            problems.append(f"{where}: less than 15 s to write a checkpoint")
        for container in pod.get("initContainers", []) + pod["containers"]:
            ports = {port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                port = container.get(kind, {}).get("grpc", {}).get("port")
                if port is not None and port not in ports:
                    problems.append(f"{where}: {kind} asks port {port}, which is not served")
            listens = [argument.rsplit(":", 1)[1] for argument in container.get("args", [])
                       if argument.startswith(("--listen=", "--monitor="))]
            if listens and {int(port) for port in listens} != ports:
                problems.append(f"{where}: listens on {listens}, declares {sorted(ports)}")
            if any(variable.get("valueFrom", {}).get("secretKeyRef") for variable in container.get("env", [])):
                problems.append(f"{where}: a secret in the environment, not in a file")
        for volume in pod.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim is not None and claim not in claims:
                problems.append(f"{where}: claims {claim}, which no document makes")


def scan(folder: pathlib.Path, root: pathlib.Path, problems: list[str]) -> None:
    checkov = [str(PROGRAMS / "checkov"), "--compact", "--quiet", "--skip-download"]
    kubernetes = run(*checkov, "-d", str(folder), "--config-file", str(root / "deploy/kubernetes/checkov.yaml"))
    docker = run(*checkov, "-d", str(root / "deploy/docker"), "--framework", "dockerfile")
    for result in (kubernetes, docker):
        if result.returncode != 0 or "Passed checks" not in result.stdout and "FAILED" in result.stdout:
            problems.append(result.stdout + result.stderr)


def command_lines(name: str, text: str) -> dict[str, list[str]]:
    found = {}
    for document in yaml.safe_load_all(text):
        pod = (document.get("spec") or {}).get("template", {}).get("spec")
        for container in (pod or {}).get("initContainers", []) + (pod or {}).get("containers", []):
            program = container["image"].split(":")[0]
            if program.startswith("pretext-"):
                where = f"{name}/{document['metadata']['name']}/{container['name']}"
                found[where] = [program.removeprefix("pretext-"), *container["args"]]
    return found


def other_command_lines(root: pathlib.Path) -> dict[str, list[str]]:
    found = {}
    services = yaml.safe_load((root / "deploy/compose.yaml").read_text())["services"]
    for name in ("coordinator", "worker"):
        found[f"compose/{name}"] = [name, *services[name]["command"]]
    for unit in sorted((root / "deploy/systemd").glob("*.service")):
        lines = [line.partition("=") for line in unit.read_text().splitlines() if "=" in line and line[0] not in "#["]
        # Variables that the unit itself sets; %H is the machine's name.
        variables = [value.partition("=") for key, _, value in lines if key == "Environment"]
        for key, where in (("ExecStartPre", f"systemd/{unit.name}/before"), ("ExecStart", f"systemd/{unit.name}")):
            for command in [value for name, _, value in lines if name == key]:
                for name, _, value in variables:
                    command = command.replace(f"${{{name}}}", value.replace("%H", "machine"))
                program, *arguments = shlex.split(command)
                found[where] = [pathlib.Path(program).name, *arguments]
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "tests/manifests/keda.schema.json").read_text())
    problems: list[str] = []
    lines, documents = other_command_lines(root), {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        overlays = sorted((root / "deploy/kubernetes/overlays").iterdir())
        for overlay in overlays:
            text = rendered(overlay, problems)
            check_schemas(overlay.name, text, folder, schema, problems)
            check_pods(overlay.name, text, problems)
            lines |= command_lines(overlay.name, text)
            documents[overlay.name] = list(yaml.safe_load_all(text))
        scan(folder, root, problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(json.dumps({"commands": lines, "documents": documents}, indent=1))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
