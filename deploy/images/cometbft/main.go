// SPDX-License-Identifier: Apache-2.0

// A node of a CometBFT chain, with what a pod has: keys and the first block in one folder, blocks in a volume, and
// what its validator signed last in another.
//
//	validator run [FLAGS OF cometbft start]   writes CometBFT's own files, and becomes it
//	validator call-peers                      has the running node call those whom the folder names now
//
// A validator that has blocks and not what it signed last is not started: it could sign a second block of one height.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	keys    = "/keys"
	blocks  = "/data"
	signed  = "/signed"
	home    = "/tmp/home"
	program = "/bin/cometbft"
	rpc     = "http://127.0.0.1:26657"
	// A node answers when it has read its blocks; the hook has half a minute.
	callLimit = 25 * time.Second
)

// seed is the 32 bytes of a private key, in hex, as pods' keys are made.
func seed(name string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(filepath.Join(keys, name))
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is no key of 64 hex digits", filepath.Join(keys, name))
	}
	return ed25519.NewKeyFromSeed(raw), nil
}

// address is what CometBFT calls a key by: the first 20 bytes of its hash.
func address(public []byte) string {
	digest := sha256.Sum256(public)
	return hex.EncodeToString(digest[:20])
}

// peers are those of whom the folder knows a key: a line each, `KEY HOST:PORT`.
func peers() ([]string, error) {
	file, err := os.Open(filepath.Join(keys, "peers"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("%s: a line is KEY HOST:PORT", file.Name())
		}
		public, err := hex.DecodeString(words[0])
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%s: %q is no key", file.Name(), words[0])
		}
		found = append(found, address(public)+"@"+words[1])
	}
	return found, lines.Err()
}

func write(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func typed(kind string, key []byte) map[string]string {
	return map[string]string{"type": "tendermint/" + kind + "Ed25519", "value": base64.StdEncoding.EncodeToString(key)}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// prepare writes CometBFT's folder anew: it keeps nothing there.
func prepare() error {
	config := filepath.Join(home, "config")
	if err := os.MkdirAll(config, 0o700); err != nil {
		return err
	}
	node, err := seed("nodekey")
	if err != nil {
		return err
	}
	if err := write(filepath.Join(config, "node_key.json"), map[string]any{"priv_key": typed("PrivKey", node)}); err != nil {
		return err
	}
	validator, err := seed("validator")
	if err != nil {
		return err
	}
	public := []byte(validator.Public().(ed25519.PublicKey))
	if err := write(filepath.Join(config, "priv_validator_key.json"), map[string]any{
		"address": strings.ToUpper(address(public)), "pub_key": typed("PubKey", public), "priv_key": typed("PrivKey", validator),
	}); err != nil {
		return err
	}
	state := filepath.Join(signed, "priv_validator_state.json")
	if !exists(state) {
		if exists(filepath.Join(blocks, "blockstore.db")) {
			return fmt.Errorf("%s is missing, and there are blocks in %s: a validator that forgot what it signed last signs "+
				"twice. Give this node another validator's key, and an empty volume for blocks", state, blocks)
		}
		if err := write(state, map[string]any{"height": "0", "round": 0, "step": 0}); err != nil {
			return err
		}
	}
	settings := fmt.Sprintf("genesis_file = %q\npriv_validator_state_file = %q\ndb_dir = %q\n",
		filepath.Join(keys, "genesis.json"), state, blocks)
	settings += "[consensus]\nwal_file = \"/data/wal/wal\"\n[p2p]\naddr_book_file = \"/tmp/addrbook.json\"\n" +
		"addr_book_strict = false\nallow_duplicate_ip = true\npex = false\n"
	return os.WriteFile(filepath.Join(config, "config.toml"), []byte(settings), 0o600)
}

func run(more []string) error {
	if err := prepare(); err != nil {
		return err
	}
	called, err := peers()
	if err != nil {
		return err
	}
	words := []string{program, "start", "--home", home, "--rpc.laddr", "tcp://0.0.0.0:26657", "--rpc.unsafe",
		"--p2p.laddr", "tcp://0.0.0.0:26656", "--p2p.persistent_peers", strings.Join(called, ",")}
	return syscall.Exec(program, append(words, more...), os.Environ())
}

func callPeers() error {
	called, err := peers()
	if err != nil || len(called) == 0 {
		return err
	}
	text, err := json.Marshal(called)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: callLimit}
	answer, err := client.Get(rpc + "/dial_peers?persistent=true&peers=" + url.QueryEscape(string(text)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("dial_peers: %s", answer.Status)
	}
	return nil
}

func main() {
	err := errors.New("validator run | validator call-peers")
	if len(os.Args) > 1 && os.Args[1] == "run" {
		err = run(os.Args[2:])
	} else if len(os.Args) == 2 && os.Args[1] == "call-peers" {
		err = callPeers()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "validator:", err)
		os.Exit(1)
	}
}
