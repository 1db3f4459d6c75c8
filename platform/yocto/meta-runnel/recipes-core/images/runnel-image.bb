# SPDX-License-Identifier: Apache-2.0
SUMMARY = "A small image that boots, runs runnel and keeps its spool on a partition of its own"
LICENSE = "Apache-2.0"

IMAGE_INSTALL = "packagegroup-core-boot runnel ${CORE_IMAGE_EXTRA_INSTALL}"
# Their kernels have the drivers of most sensors as modules, which packagegroup-core-boot leaves out;
# the rules give /dev/serial0 its name, and ports to the groups of the user runnel.
IMAGE_INSTALL:append:beaglebone-yocto = " kernel-modules"
IMAGE_INSTALL:append:rpi = " kernel-modules udev-rules-rpi"
IMAGE_LINGUAS = ""

# Machines that are not named here keep their own layout. By itself scarthgap looks for layouts in the
# folder wic of a layer, wrynose in files/wic.
WKS_SEARCH_PATH:prepend = "${THISDIR}/../../wic:"
WKS_FILE:beaglebone-yocto = "runnel-beaglebone.wks"
WKS_FILE:qemuarm = "runnel-qemu.wks"
WKS_FILE:qemuarm64 = "runnel-qemu.wks"
WKS_FILE:rpi = "runnel-raspberrypi.wks"
IMAGE_FSTYPES:beaglebone-yocto = "wic.gz wic.bmap"
IMAGE_FSTYPES:qemuarm = "wic"
IMAGE_FSTYPES:qemuarm64 = "wic"
IMAGE_FSTYPES:rpi = "wic.gz wic.bmap"

# For runqemu: the root is the first partition, and the kernel lies beside the image.
QB_DEFAULT_FSTYPE:qemuarm = "wic"
QB_FSINFO:qemuarm = "wic:no-kernel-in-fs"
QB_KERNEL_ROOT:qemuarm = "/dev/vda1"
QB_DRIVE_TYPE:qemuarm = "/dev/vd"
QB_DEFAULT_FSTYPE:qemuarm64 = "wic"
QB_FSINFO:qemuarm64 = "wic:no-kernel-in-fs"
QB_KERNEL_ROOT:qemuarm64 = "/dev/vda1"
QB_DRIVE_TYPE:qemuarm64 = "/dev/vd"

inherit core-image

# Where the layouts mount the data partition; a root that is read-only cannot make it later.
runnel_mount_points() {
	install -d ${IMAGE_ROOTFS}/data ${IMAGE_ROOTFS}${localstatedir}/lib/runnel
}
ROOTFS_POSTPROCESS_COMMAND += "runnel_mount_points"
