"""What lists of the management API are measured with, straight into the tables.

As in ``bench.seed``, the statements leave behind what pushes and the work of people would have:
quotas and usage come from the triggers of the tables.
"""

import json
from dataclasses import dataclass

from bench.seed import SHA256, Cursor
from bench.seed import TABLES as TABLES_OF_CONTENT
from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST

NUMBER_MARK = "@number@"
CHILDREN = 3
"""How many images an index lists."""

TABLES = (
    *TABLES_OF_CONTENT,
    "audit_auditcount",
    "audit_auditentry",
    "audit_auditstretch",
    "projects_project",
    "quotas_quota",
    "usage_projectcontent",
)


@dataclass(frozen=True, slots=True)
class ConfigBlob:
    """The configuration that all seeded images share; the repositories have it already."""

    digest: str
    size_bytes: int


_IMAGES = """
INSERT INTO artifacts_manifest
       (repository_id, digest, media_type, config_media_type, size_bytes, payload, annotations,
        total_bytes, pushed_at, pushed_by, touched_at, extra_attrs)
SELECT made.repository_id, %(algorithm)s || sha256(made.payload), %(image_type)s, %(config_type)s,
       length(made.payload), made.payload, '{}', %(config_bytes)s + length(made.payload),
       made.pushed_at, 'bench', made.pushed_at, '{}'
  FROM (SELECT r.id AS repository_id, now() - make_interval(secs => n) AS pushed_at,
               convert_to(replace(%(template)s, %(mark)s, n::text), 'UTF8') AS payload
          FROM artifacts_repository r, generate_series(1, %(count)s) n
         WHERE r.name = %(repository)s) AS made
"""

_CONFIG_REFERENCES = """
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, blob_id)
SELECT m.id, 0, 'config', b.digest, b.size_bytes, m.config_media_type, b.id
  FROM artifacts_manifest m
  JOIN artifacts_repository r ON r.id = m.repository_id
  JOIN blobs_blob b ON b.digest = %(config)s
 WHERE r.name = %(repository)s AND m.media_type = %(image_type)s AND m.pushed_by = 'bench'
"""

# An index has the images whose numbers come next: 1 to 3, 4 to 6 and so on.
_INDEXES = """
INSERT INTO artifacts_manifest
       (repository_id, digest, media_type, size_bytes, payload, annotations, total_bytes,
        pushed_at, pushed_by, touched_at)
SELECT made.repository_id, %(algorithm)s || sha256(made.payload), %(index_type)s,
       length(made.payload), made.payload, '{}', made.children_bytes + length(made.payload),
       made.pushed_at, 'bench', made.pushed_at
  FROM (SELECT child.repository_id, max(child.pushed_at) AS pushed_at,
               sum(child.total_bytes) AS children_bytes,
               convert_to(json_build_object(
                   'schemaVersion', 2, 'mediaType', %(index_type)s,
                   'manifests', json_agg(json_build_object(
                       'mediaType', child.media_type, 'size', child.size_bytes,
                       'digest', 'sha256:' || encode(substr(child.digest, 2), 'hex'))
                       ORDER BY child.id))::text, 'UTF8') AS payload
          FROM (SELECT m.*, row_number() OVER (ORDER BY m.id) - 1 AS number
                  FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id
                 WHERE r.name = %(repository)s AND m.pushed_by = 'bench') AS child
         GROUP BY child.repository_id, child.number / %(children)s) AS made
"""

_CHILD_REFERENCES = """
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, child_id)
SELECT parent.id, listed.position - 1, 'child', child.digest, child.size_bytes, child.media_type,
       child.id
  FROM artifacts_manifest parent,
       jsonb_array_elements(convert_from(parent.payload, 'UTF8')::jsonb -> 'manifests')
       WITH ORDINALITY AS listed(descriptor, position)
  JOIN artifacts_manifest child
    ON child.digest = %(algorithm)s || decode(split_part(listed.descriptor ->> 'digest', ':', 2),
                                              'hex')
 WHERE parent.repository_id = %(id)s AND child.repository_id = %(id)s
   AND parent.media_type = %(index_type)s
"""

_TAGS = """
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by)
SELECT m.repository_id, 'build-' || lpad(m.id::text, 9, '0'), m.id, m.digest, m.pushed_at,
       'bench', ''
  FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id
 WHERE r.name = %(repository)s AND m.media_type = %(tagged_type)s AND m.pushed_by = 'bench'
"""

_PROJECTS = """
INSERT INTO projects_project
       (name, is_public, generation, owner_id, owner_name, created_at, updated_at)
SELECT %(prefix)s || '-' || lpad(n::text, 5, '0'), n %% 2 = 0, 0, u.id, u.username, now(), now()
  FROM users_user u, generate_series(1, %(count)s) n WHERE u.username = %(owner)s
"""

# Of ten entries six are pulls; there are a hundred people, and a quarter of all entries are about
# the first project.
_AUDIT = """
WITH projects AS MATERIALIZED (
     SELECT array_agg(id ORDER BY name = %(project)s DESC, id) AS ids,
            array_agg(name ORDER BY name = %(project)s DESC, id) AS names, count(*) AS count
       FROM projects_project)
INSERT INTO audit_auditentry
       (recorded_at, action, outcome, actor_kind, actor_id, actor_label, address, user_agent,
        request_id, project_id, project_name, target_kind, target_id, target_label)
SELECT now() - make_interval(secs => 10 * (%(count)s - n)),
       (ARRAY['artifact.pulled', 'artifact.pulled', 'artifact.pulled', 'artifact.pulled',
              'artifact.pulled', 'artifact.pulled', 'artifact.pushed', 'artifact.deleted',
              'tag.created', 'tag.moved'])[kind + 1],
       CASE WHEN n %% 100 = 0 THEN 'denied' ELSE 'success' END, 'user', person,
       'person-' || person, '192.0.2.1', 'docker/27.3.1', md5(n::text), ids[place],
       names[place], CASE WHEN kind < 8 THEN 'artifact' ELSE 'tag' END, n::text,
       names[place] || '/app-' || n %% 1000 || ':build-' || n
  FROM generate_series(1, %(count)s) n, projects,
       LATERAL (SELECT CASE WHEN n %% 4 = 0 THEN 1 ELSE n %% count + 1 END AS place,
                       n / 4 %% 10 AS kind, n / 40 %% 100 AS person) AS chosen
 ORDER BY n
"""


def seed_images(cursor: Cursor, repository: str, config: ConfigBlob, count: int) -> None:
    """Add images to an existing repository, the first the newest, with a tag each."""
    values = _values(repository, config, count)
    for statement in (_IMAGES, _CONFIG_REFERENCES):
        cursor.execute(statement, values)
    cursor.execute(_TAGS, values | {"tagged_type": OCI_IMAGE_MANIFEST})


def seed_indexes(cursor: Cursor, repository: str, config: ConfigBlob, count: int) -> None:
    """Add indexes of three images each to an existing repository; only the indexes have tags."""
    values = _values(repository, config, count * CHILDREN)
    for statement in (_IMAGES, _CONFIG_REFERENCES, _INDEXES):
        cursor.execute(statement, values)
    # Without statistics about this repository the planner takes it for one like all others.
    cursor.execute("ANALYZE artifacts_manifest")
    cursor.execute("SELECT id FROM artifacts_repository WHERE name = %s", (repository,))
    (repository_id,) = cursor.fetchone() or (0,)
    cursor.execute(_CHILD_REFERENCES, values | {"id": repository_id})
    cursor.execute(_TAGS, values | {"tagged_type": OCI_IMAGE_INDEX})


def seed_projects(cursor: Cursor, prefix: str, owner: str, count: int) -> None:
    """Add projects of somebody, every other one public."""
    cursor.execute(_PROJECTS, {"prefix": prefix, "owner": owner, "count": count})


def seed_audit(cursor: Cursor, project: str, count: int) -> None:
    """Add entries about all projects, one every ten seconds, a quarter of them about this one."""
    cursor.execute(_AUDIT, {"project": project, "count": count})


def refresh_statistics(cursor: Cursor) -> None:
    """Do what autovacuum would do within minutes. The connection must be in autocommit mode."""
    for table in TABLES:
        cursor.execute(f"VACUUM ANALYZE {table}")


def _values(repository: str, config: ConfigBlob, images: int) -> dict[str, object]:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": {
            "mediaType": OCI_IMAGE_CONFIG,
            "digest": config.digest,
            "size": config.size_bytes,
        },
        "layers": [],
        "annotations": {"number": NUMBER_MARK, "padding": "-" * 400},
    }
    return {
        "repository": repository,
        "count": images,
        "children": CHILDREN,
        "template": json.dumps(document),
        "mark": NUMBER_MARK,
        "algorithm": SHA256,
        "config": SHA256 + bytes.fromhex(config.digest.removeprefix("sha256:")),
        "config_bytes": config.size_bytes,
        "image_type": OCI_IMAGE_MANIFEST,
        "index_type": OCI_IMAGE_INDEX,
        "config_type": OCI_IMAGE_CONFIG,
    }
