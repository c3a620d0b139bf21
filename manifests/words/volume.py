# SPDX-License-Identifier: Apache-2.0
"""Known words of a volume: Kubernetes' kinds of volume and their fields, Compose's and Akash's."""

from trustedpods.manifests.words.word import Word

_DISK = "write `persistent: {size: 1Gi}` for what must last, `emptyDir: {}` for what goes with the replica"
_FILES = "write `secret: {files: {KEY: FILE}}`: files beside the manifest, sealed on their way"
_SIZE = "write `persistent: {size: 1Gi}`"

VOLUME = {
    **dict.fromkeys(
        ("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "ephemeral", "fc",
         "flexVolume", "flocker", "gcePersistentDisk", "glusterfs", "iscsi", "nfs", "photonPersistentDisk",
         "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
         "hostPath", "filesystem"),
        Word(_DISK),
    ),
    "persistentVolumeClaim": Word(_SIZE),
    "configMap": Word(_FILES),
    "projected": Word(_FILES),
    "downwardAPI": Word("leave it out: a pod is told nothing of its cluster"),
    "gitRepo": Word("put the files into the image, or " + _FILES),
    "image": Word("put the files into the container's image"),
    "driver": Word(_DISK),
    "external": Word(_DISK),
    "type": Word("write `emptyDir: {}`, `persistent: {size: 1Gi}`, `secret: {files: {KEY: FILE}}` or `csi`"),
    "size": Word(_SIZE),
    "mountPath": Word("it belongs to a container: `volumeMounts: [{name: data, mountPath: /data}]`"),
}  # fmt: skip

SEED = {
    "files": Word("write `directory: ./first`: all files of a directory beside the manifest"),
    "path": Word("write `directory: ./first`: all files of a directory beside the manifest"),
}

EMPTY_DIR = {"medium": Word("leave it out: volumes in memory are not supported yet", same=("",))}

PERSISTENT = {
    "accessModes": Word("write `accessMode: ReadWriteMany`", same=(["ReadWriteOnce"],)),
    "volumeMode": Word("leave it out: a volume is a file system", same=("Filesystem",)),
    "resources": Word("write `size: 1Gi`"),
    "storage": Word("write `size: 1Gi`"),
    "storageClass": Word("write `storageClassName`"),
    "claimName": Word("write `size: 1Gi`: the volume is the pod's own"),
    **dict.fromkeys(
        ("dataSource", "dataSourceRef", "selector", "volumeAttributesClassName", "volumeName"),
        Word("leave it out: a new volume is empty, or begins with the files of a `seed`"),
    ),
}

SECRET = {
    "secretName": Word(_FILES),
    "items": Word("write `files: {PATH: FILE}`"),
    "file": Word(_FILES),
    "path": Word("write `directory: ./keys`: all files of a directory beside the manifest"),
    "contents": Word(_FILES),
    "stringData": Word(_FILES),
    "data": Word(_FILES),
    "optional": Word("leave it out: the files are always there", same=(False,)),
    "defaultMode": Word(
        "leave it out: files can be read by every user of the pod, and written by none (0440)",
        same=(0o440, 440, "0440"),
    ),
}

CSI = {
    "fsType": Word("leave it out: the driver's own way holds"),
    "provider": Word("it belongs to the class: `secretProviderClass: {provider: ..., parameters: {...}}`"),
    "parameters": Word("they belong to the class: `secretProviderClass: {provider: ..., parameters: {...}}`"),
}

SECRET_PROVIDER_CLASS = {
    "secretObjects": Word("leave it out: no Secret is made of what a store holds; mount it as files"),
}
