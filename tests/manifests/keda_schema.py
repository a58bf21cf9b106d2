"""Writes keda.schema.json from KEDA's own resource definitions, from a package of PyPI.

    pip install cloudcoil-models-keda==2.16.1.0      # models generated from the definitions of KEDA 2.16.1
    python keda_schema.py > keda.schema.json
"""

import json

from cloudcoil.models.keda import v1alpha1

KINDS = {"ScaledObject": v1alpha1.ScaledObjectSpec, "TriggerAuthentication": v1alpha1.TriggerAuthenticationSpec}


def strict(schema, names=False):
    """Returns the schema without descriptions; unknown fields become errors."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {
        key: strict(value, key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key not in ("description", "title", "default")
    }
    if not names and "properties" in inner:
        inner["additionalProperties"] = False
    return inner


definitions, kinds = {}, []
for kind, model in KINDS.items():
    spec = strict(model.model_json_schema())
    definitions |= spec.pop("$defs")
    kinds.append(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"const": "keda.sh/v1alpha1"},
                "kind": {"const": kind},
                "metadata": {"type": "object"},
                "spec": spec,
            },
        }
    )
comment = "Made by keda_schema.py from cloudcoil-models-keda 2.16.1.0: all fields of KEDA 2.16.1, and no others."
print(json.dumps({"$comment": comment, "oneOf": kinds, "$defs": definitions}, indent=1))
