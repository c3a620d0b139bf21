// SPDX-License-Identifier: Apache-2.0

// Command secretsstore stands in for the secrets store CSI driver in a localnet.
//
// It answers under that driver's name, takes the same volume and the same SecretProviderClass, and knows one
// provider, `folder`: each parameter is a file's name in the volume, its value a file's name in the store's
// folder. A store with a file `.token` opens only with the same content under `token` of the Secret that
// nodePublishSecretRef names. It is a process on the node, not a DaemonSet, and never reads a store again.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	driver   = "secrets-store.csi.k8s.io"
	provider = "folder"
	// most is what one volume may hold: what Kubernetes allows a Secret.
	most = 1 << 20
)

var classes = schema.GroupVersionResource{
	Group: "secrets-store.csi.x-k8s.io", Version: "v1", Resource: "secretproviderclasses",
}

// plugin answers the kubelet: who it is, where it listens, and what is in a volume.
type plugin struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	registration.UnimplementedRegistrationServer
	socket, node, store string
	api                 dynamic.Interface
}

func (p *plugin) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: driver, Endpoint: p.socket, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (p *plugin) NotifyRegistrationStatus(
	_ context.Context, told *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %t %s", told.PluginRegistered, told.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

func (p *plugin) GetPluginInfo(
	context.Context, *csi.GetPluginInfoRequest,
) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driver, VendorVersion: "localnet"}, nil
}

func (p *plugin) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (p *plugin) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: p.node}, nil
}

func (p *plugin) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (p *plugin) NodePublishVolume(
	ctx context.Context, asked *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	told := asked.GetVolumeContext()
	wanted, err := p.class(ctx, told["csi.storage.k8s.io/pod.namespace"], told["secretProviderClass"])
	if err != nil {
		return nil, err
	}
	files, err := open(p.store, wanted, asked.GetSecrets())
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err := fill(asked.GetTargetPath(), files); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (p *plugin) NodeUnpublishVolume(
	_ context.Context, asked *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	target := asked.GetTargetPath()
	if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil && !gone(err) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, os.RemoveAll(target)
}

// gone says whether nothing was mounted there: done already is done.
func gone(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT)
}

// class returns the parameters of a SecretProviderClass of our provider.
func (p *plugin) class(ctx context.Context, namespace, name string) (map[string]string, error) {
	found, err := p.api.Resource(classes).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, status.Errorf(codes.NotFound, "SecretProviderClass %s/%s: %v", namespace, name, err)
	}
	named, _, err := unstructured.NestedString(found.Object, "spec", "provider")
	if err != nil || named != provider {
		return nil, status.Errorf(codes.InvalidArgument, "no provider %q on this node, only %s", named, provider)
	}
	wanted, _, err := unstructured.NestedStringMap(found.Object, "spec", "parameters")
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return wanted, nil
}

// open reads the wanted files (names in the volume to names in the store) of a store.
func open(store string, wanted, secrets map[string]string) (map[string][]byte, error) {
	token, err := os.ReadFile(filepath.Join(store, ".token"))
	if err == nil && !bytes.Equal(token, []byte(secrets["token"])) {
		return nil, errors.New("the store does not open: nodePublishSecretRef has no `token` or a wrong one")
	}
	files, left := map[string][]byte{}, most
	for name, object := range wanted {
		if filepath.Base(name) != name || filepath.Base(object) != object || strings.HasPrefix(object, ".") {
			return nil, fmt.Errorf("%q: %q: names of files, without folders, are wanted", name, object)
		}
		content, err := os.ReadFile(filepath.Join(store, object))
		if err != nil {
			return nil, fmt.Errorf("the store has no %q", object)
		}
		if left -= len(content); left < 0 {
			return nil, fmt.Errorf("more than %d bytes in one volume", most)
		}
		files[name] = content
	}
	return files, nil
}

// fill mounts a file system in memory at target and writes the files there.
func fill(target string, files map[string][]byte) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	_ = syscall.Unmount(target, syscall.MNT_DETACH) // of a try before this one
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC)
	if err := syscall.Mount("tmpfs", target, "tmpfs", flags, "mode=0755,size=2m"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(target, name), content, 0o444); err != nil {
			return err
		}
	}
	return nil
}

// serve answers on a socket of its own for as long as the process runs.
func serve(socket string, register func(*grpc.Server)) error {
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	register(server)
	return server.Serve(listener)
}

func main() {
	registry := flag.String("registry", "", "the kubelet's folder plugins_registry")
	node := flag.String("node", "", "the node's name")
	store := flag.String("store", "", "folder of the store")
	kubeconfig := flag.String("kubeconfig", "", "of an account that may get secretproviderclasses")
	socket := flag.String("socket", "", "where the driver listens (a socket's path has at most 107 bytes)")
	flag.Parse()
	access, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	api, err := dynamic.NewForConfig(access)
	if err != nil {
		log.Fatal(err)
	}
	p := &plugin{socket: *socket, node: *node, store: *store, api: api}
	ended := make(chan error)
	go func() {
		ended <- serve(*socket, func(s *grpc.Server) {
			csi.RegisterIdentityServer(s, p)
			csi.RegisterNodeServer(s, p)
		})
	}()
	go func() {
		ended <- serve(filepath.Join(*registry, driver+"-reg.sock"), func(s *grpc.Server) {
			registration.RegisterRegistrationServer(s, p)
		})
	}()
	log.Fatal(<-ended)
}
