# SPDX-License-Identifier: Apache-2.0
"""What stands in for a module while another one is run that imports it and hardly ever uses it.

Each says what its import would cost. What it stands for is imported by its first use.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Final, Literal, NewType

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""`py_ecc.secp256k1.N` (SEC 2, 2.4.1)."""

BLS12_381_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""`py_ecc.bls12_381.curve_order` (draft-irtf-cfrg-pairing-friendly-curves, 4.2.1)."""

KDF_TYPE: Final = Literal["pbkdf2", "scrypt"]
"""`eth_keyfile.keyfile.KDFType`."""

StandIns = Mapping[str, "ModuleType | None"]
"""By the name of what they stand for; None is a module that is not there."""


class _Later:
    """An object of a module that is imported when something of the object is asked for."""

    def __init__(self, module: str, name: str) -> None:
        self.__place = module, name

    def __getattr__(self, name: str) -> object:
        module, of = self.__place
        return getattr(getattr(import_module(module), of), name)


class _LaterType(type):
    """Of a class that is imported when one of it is made, or something is asked whether it is one."""

    place: tuple[str, str]

    def _real(cls) -> type:
        module, name = cls.place
        found: type = getattr(import_module(module), name)
        return found

    def __call__(cls, *arguments: object, **options: object) -> object:
        return cls._real()(*arguments, **options)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real())


class Passed:
    """A name that the module only passes on: it is taken out of it, and looked up when it is asked for."""

    def __init__(self, module: str) -> None:
        self.module = module


def _calling(module: str, name: str, method: str | None = None) -> Callable[..., object]:
    """A function of a module, or a method of a class there, that is imported when it is called."""

    def call(*arguments: object, **options: object) -> object:
        found = getattr(import_module(module), name)
        return (found if method is None else getattr(found, method))(*arguments, **options)

    return call


def _module(name: str, **members: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(members)
    return made


def _pairings() -> StandIns:
    """Of eth_keyfile, for keystores of validators: py_ecc computes the tables of two pairings, 0.2 s.

    It also lifts Python's recursion limit to 100,000 for the whole process: what is nested too deep then ends
    the process where it raised RecursionError.
    """
    return {
        "py_ecc": _module("py_ecc", __path__=[]),
        "py_ecc.bls": _module("py_ecc.bls", G2ProofOfPossession=_Later("py_ecc.bls", "G2ProofOfPossession")),
        "py_ecc.bls12_381": _module("py_ecc.bls12_381", curve_order=BLS12_381_ORDER),
        "py_ecc.secp256k1": _module("py_ecc.secp256k1", N=SECP256K1_ORDER),
    }


def _keystores() -> StandIns:
    """Of eth_account's checks, for a type: AES, scrypt and PBKDF2 of pycryptodome."""
    return {
        "eth_keyfile": _module("eth_keyfile", __path__=[]),
        "eth_keyfile.keyfile": _module("eth_keyfile.keyfile", KDFType=KDF_TYPE),
    }


def _quic() -> StandIns:
    """Of libp2p's types, in an alias for type checkers: aioquic."""
    name = "libp2p.transport.quic.stream"
    return {name: _module(name, QUICStream=type("QUICStream", (), {}))}


def _other_keys() -> StandIns:
    """Of libp2p's keys, for peers whose identity is no Ed25519 key: RSA of pycryptodome, and coincurve."""
    found = {}
    for kind in ("RSA", "Secp256k1"):
        name = f"libp2p.crypto.{kind.lower()}"
        classes = (f"{kind}PrivateKey", f"{kind}PublicKey")
        found[name] = ModuleType(name)
        for one in classes:
            vars(found[name])[one] = type(
                one, (), {"from_bytes": staticmethod(_calling(name, one, "from_bytes"))}
            )
    return found


def _command() -> StandIns:
    """Of httpx, its own command line: rich and pygments."""
    return {"httpx._main": _module("httpx._main", main=_calling("httpx._main", "main"))}


def _http2() -> StandIns:
    """Of httpcore, which httpx asks: the second version of HTTP, with the tables of its compression."""
    return {
        name: _module(name, **{made: _LaterType(made, (), {"place": (name, made)})})
        for name, made in (
            ("httpcore._sync.http2", "HTTP2Connection"),
            ("httpcore._async.http2", "AsyncHTTP2Connection"),
        )
    }


def _chains() -> StandIns:
    """Of eth_typing, an enumeration of all chains that are known."""
    name = "eth_typing.networks"
    return {name: _module(name, ChainId=Passed(name), URI=NewType("URI", str))}


def _names_of_chains() -> StandIns:
    """Of eth_utils, the names of all these chains, out of a file."""
    name = "eth_utils.network"
    functions = ("name_from_chain_id", "network_from_chain_id", "short_name_from_chain_id")
    called = {one: _calling(name, one) for one in functions}
    return {name: _module(name, Network=_LaterType("Network", (), {"place": (name, "Network")}), **called)}


def _parser_of_c() -> StandIns:
    """Of pycryptodome, which calls its libraries by ctypes where there is no cffi, as fast: a parser of C."""
    return {"cffi": None}


BESIDE: Final[Mapping[str, Callable[[], StandIns]]] = {
    "Crypto.Util._raw_api": _parser_of_c,
    "eth_account._utils.validation": _keystores,
    "eth_keyfile.keyfile": _pairings,
    "eth_typing": _chains,
    "eth_utils": _names_of_chains,
    "httpcore": _http2,
    "httpx": _command,
    "libp2p.crypto.serialization": _other_keys,
    "libp2p.custom_types": _quic,
}
"""Which module is run beside which stand-ins."""
