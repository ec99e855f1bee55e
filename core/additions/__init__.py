"""Additions: what can be read of an artifact beside its manifest, from its stored content.

Words: *addition* (the history of an image's build; values, readme and dependencies of a chart;
readme, license and files of a model; an SBOM). Which kinds of artifacts have which is said in
``core.oci.media_types.ADDITIONS``. Nothing is written, neither to the database nor to a disk.
Neighbours: ``artifacts`` below keeps the content and reads it within bounds.

Besides the usual slots: ``archives`` reads single files out of archives that anybody may have
pushed, within bounds.
"""
