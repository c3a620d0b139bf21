# SPDX-License-Identifier: Apache-2.0
"""A signer with a key of its own behind a unix socket, as Clef is to those who ask it."""

import json
import socket
import threading
from contextlib import contextmanager

from eth_account import Account
from eth_account.messages import encode_typed_data

_NUMBERS = ("chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "value")


class SignerDevice:
    """Signs what it is asked for; `change` alters a transaction first, `answer` replaces whole answers.

    `asked` are the requests. `holds` keeps an answer back until it is set.
    """

    def __init__(self, path, key):
        self.path, self.key, self.address = str(path), key, Account.from_key(key).address
        self.asked, self.change, self.answer = [], None, None
        self.holds = threading.Event()
        self.holds.set()
        self._stopped = threading.Event()

    def reply(self, request):
        if self.answer is not None:
            return self.answer(request)
        signed = getattr(self, request["method"])(*request["params"])
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": signed}).encode() + b"\n"

    def account_signTransaction(self, asked):
        fields = {name: int(asked[name], 16) for name in _NUMBERS}
        fields |= {"type": 2, "data": asked["input"]}
        if "to" in asked:
            fields["to"] = asked["to"]
        if self.change is not None:
            fields = self.change(fields)
        signed = Account.sign_transaction(fields, self.key)
        return {"raw": "0x" + signed.raw_transaction.hex().removeprefix("0x"), "tx": asked}

    def account_signTypedData(self, _, data):
        signed = Account.sign_message(encode_typed_data(full_message=data), self.key)
        return "0x" + signed.signature.hex().removeprefix("0x")

    def _serve(self, listener):
        while not self._stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection, connection.makefile("rb") as lines:
            line = lines.readline()
            if not line:
                return
            request = json.loads(line)
            self.asked.append(request)
            self.holds.wait()
            try:
                connection.sendall(self.reply(request))
            except OSError:
                return  # who asked has gone

    @contextmanager
    def running(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.path)
            listener.listen()
            thread = threading.Thread(target=self._serve, args=(listener,))
            thread.start()
            try:
                yield self
            finally:
                self._stopped.set()
                self.holds.set()
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()


def refusing(request):
    """What Clef answers when the person at it says no."""
    error = {"code": -32000, "message": "request denied"}
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()
