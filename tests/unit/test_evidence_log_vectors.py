"""The log's formats against published examples, made by others."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.evidence.log import Checkpoint, Note, Proof, Vkey, cosign
from edge_agent.evidence.log.merkle import (
    EMPTY_ROOT,
    fold,
    is_consistent,
    leaf_hash,
    root_of_path,
)
from edge_agent.evidence.log.note import COSIGNATURE, Signature, decode, sign
from edge_agent.evidence.log.tiles import tile_name, widths

# certificate-transparency's and transparency-dev/merkle's reference log (proof/verify_test.go)
LEAVES = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")
] + [bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
G = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
R1, R2, R4 = (ROOTS[n - 1].hex() for n in (1, 2, 4))
INCLUSION = [
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, R4]),
    (2, 3, [R2]),
    (1, 5, [R1, B, D]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [A, B, C]),
    (6, 8, [F, E, R4]),
    (2, 5, [B, D]),
    (6, 7, [F, G, R4]),
]


def proof_of(steps: list[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in steps]


def test_roots_of_the_reference_log() -> None:
    assert hashlib.sha256(b"").digest() == EMPTY_ROOT
    hashes = [leaf_hash(record) for record in LEAVES]
    for size in (1, 2, 4, 8):
        assert fold(hashes[:size]) == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "steps"), INCLUSION)
def test_inclusion_in_the_reference_log(index: int, size: int, steps: list[str]) -> None:
    leaf, path = leaf_hash(LEAVES[index]), proof_of(steps)
    assert root_of_path(leaf, index, size, path) == ROOTS[size - 1]
    assert root_of_path(leaf_hash(b"another"), index, size, path) != ROOTS[size - 1]
    if path:
        with pytest.raises(ValueError, match=r"too (long|short)"):
            root_of_path(leaf, index, 2 * size, path)
        with pytest.raises(ValueError, match="too short"):
            root_of_path(leaf, index, size, path[:-1])
    with pytest.raises(ValueError, match="too long"):
        root_of_path(leaf, index, size, [*path, EMPTY_ROOT])
    with pytest.raises(ValueError, match="not in a tree"):
        root_of_path(leaf, size, size, path)


@pytest.mark.parametrize(("old", "new", "steps"), CONSISTENCY)
def test_consistency_in_the_reference_log(old: int, new: int, steps: list[str]) -> None:
    before, after, path = (old, ROOTS[old - 1]), (new, ROOTS[new - 1]), proof_of(steps)
    assert is_consistent(before, after, path)
    assert not is_consistent(before, after, [*path, EMPTY_ROOT])
    assert not is_consistent((old, EMPTY_ROOT), after, path)
    assert not is_consistent(before, (new, EMPTY_ROOT), path)
    if path:
        assert not is_consistent(before, after, path[:-1])
        assert not is_consistent(before, after, [])
        assert not is_consistent((old + 1, ROOTS[old]), after, path)
        assert not is_consistent(after, before, path)


# golang.org/x/mod/sumdb/note, package documentation
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNED = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo"
    "tpRZb6KE6RyyBwJnAM="
)
# c2sp.org/signed-note, section Verifier keys
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_gos_example_is_signed_and_verified() -> None:
    key = Vkey.parse(NEUMANN)
    assert str(key) == NEUMANN and key.key_id.hex() == "c74f20a3"
    made = sign(TEXT, "PeterNeumann", Ed25519PrivateKey.from_private_bytes(SEED))
    assert str(made) == SIGNED
    note = Note.from_bytes(f"{TEXT}\n{SIGNED}\n".encode())
    assert note.text == TEXT and note.signed_by(key) == made
    with pytest.raises(ValueError, match="does not fit the text"):
        Note(TEXT + "!\n", note.signatures).signed_by(key)


def test_the_specifications_own_example_verifies() -> None:
    note, key = Note.from_bytes(FOO_NOTE.encode()), Vkey.parse(FOO)
    assert note.signed_by(key) is not None
    assert note.to_bytes() == FOO_NOTE.encode()
    assert note.signed_by(Vkey.parse(NEUMANN)) is None


@pytest.mark.parametrize(
    "text",
    [
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "rekor.sigstore.dev+12345678+AwEB",
        "bananas.sigstore.dev+12344556",
    ],
)
def test_a_mistyped_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|base64|padd"):
        Vkey.parse(text)


# c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature
SOFA = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz\
Gku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n\
PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def test_the_specifications_checkpoint_and_its_cosignature_are_read() -> None:
    note = Note.from_bytes(SOFA.encode())
    told = Checkpoint.parse(note.text)
    assert (told.origin, told.size) == ("example.com/behind-the-sofa", 20852163)
    assert told.text == note.text and note.to_bytes() == SOFA.encode()
    log, witness = note.signatures
    assert (log.name, witness.name) == ("example.com/behind-the-sofa", "witness.example.com/w1")
    assert witness.when_s == 1679315147, "the time that the specification's example names"


def test_a_cosignature_is_over_the_time_and_the_text() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    made = cosign(text, "witness.example.com/w1", private, 1679315147)
    # The message is spelled out in the specification.
    private.public_key().verify(made.data[8:], b"cosignature/v1\ntime 1679315147\n" + text.encode())
    public = private.public_key().public_bytes_raw()
    key = Vkey("witness.example.com/w1", public, COSIGNATURE)
    note = Note(text).with_signature(made)
    found = note.signed_by(key)
    assert found is not None and found.when_s == 1679315147
    later = Signature(made.name, made.key_id, (1679315148).to_bytes(8, "big") + made.data[8:])
    with pytest.raises(ValueError, match="does not fit"):
        Note(text, (later,)).signed_by(key)
    assert note.signed_by(Vkey("witness.example.com/w1", public)) is None, "another kind of key"
    assert note.with_signature(made) == note


# transparency-dev/formats, note/note_cosigv1_test.go
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"


def test_a_witness_in_the_field_has_this_key() -> None:
    key = Vkey.parse(REMORA)
    assert (key.algorithm, str(key)) == (COSIGNATURE, REMORA)


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "000"), (5, "005"), (999, "999"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_tiles_lie_where_the_specification_says(index: int, name: str) -> None:
    assert tile_name(0, index) == f"tile/0/{name}"
    assert tile_name(3, index, 17) == f"tile/3/{name}.p/17"


def test_the_specifications_tree_of_70000() -> None:
    assert widths(70_000) == [(273, 112), (1, 17), (0, 1)]
    assert widths(256) == [(1, 0), (0, 1)]


# transparency-dev/merkle, proof/tlog_proof_test.go
H1, H2 = (hashlib.sha256(text).digest() for text in (b"hash1", b"hash2"))


def test_a_proof_is_written_as_others_write_it() -> None:
    note = Note("a\n1\nb\n", (Signature("a", b"1234", b"x"),))
    proof = Proof(5, (H1, H2), note)
    lines = [base64.b64encode(step).decode() for step in (H1, H2)]
    head = "c2sp.org/tlog-proof@v1\nindex 5\n{}\n{}\n\n".format(*lines)
    assert proof.to_bytes() == head.encode() + note.to_bytes()
    assert Proof.from_bytes(proof.to_bytes()) == proof
    more = Proof(10, (H1, H2), note, b"extra information")
    assert more.to_bytes().startswith(
        b"c2sp.org/tlog-proof@v1\nextra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n"
    )
    assert Proof.from_bytes(more.to_bytes()) == more
    assert Proof.from_bytes(Proof(0, (), note).to_bytes()).path == ()


@pytest.mark.parametrize(
    "text",
    [
        "not a proof at all",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex notanumber\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\na\n1\nb\n\n— a MTIzNHg=\n",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nMTIzNA==\n\na\n1\nb\n\n— a MTIzNHg=\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n\na\n1\nb\n\n— a MTIzNHg=\n",
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"proof|base64|Only"):
        Proof.from_bytes(text.encode())
