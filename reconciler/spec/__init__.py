"""The language of the specs: frozen, strict pydantic models, one file per kind, and their JSON Schemas.

Invariant: a model says what one document may hold; it reads no file and knows no other document. Scalars arrive as
written (`reconciler.spec.scalar.Scalar`), and the type of the field they are for decides what they mean.
"""
