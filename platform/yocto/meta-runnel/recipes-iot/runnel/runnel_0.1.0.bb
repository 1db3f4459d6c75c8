# SPDX-License-Identifier: Apache-2.0
SUMMARY = "Telemetry agent that never loses what a sensor measured"
DESCRIPTION = "Reads sensors, keeps what they measure in a spool that survives power cuts, and \
delivers it to AWS: Kinesis Data Streams, Data Firehose, an API behind API Gateway, S3, or a \
directory of archived objects."
SECTION = "net"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "cjson lmdb mbedtls python3-kconfiglib-native zlib"

require runnel-source.inc

inherit cmake pkgconfig python3native systemd update-rc.d useradd ptest cml1

# ---- What is compiled: Kconfig decides ----

# A folder of boards/ in the source. Its defconfig comes first; then what PACKAGECONFIG says; then the
# fragments, every *.cfg of SRC_URI in its order. The last one counts.
PACKAGE_ARCH = "${MACHINE_ARCH}"
RUNNEL_BOARD ??= "${RUNNEL_MACHINE_BOARD}"
RUNNEL_MACHINE_BOARD = "host"
RUNNEL_MACHINE_BOARD:beaglebone-yocto = "beaglebone"
RUNNEL_MACHINE_BOARD:qemuarm = "qemu-armv7"
RUNNEL_MACHINE_BOARD:qemuarm64 = "qemu-aarch64"
RUNNEL_MACHINE_BOARD:rpi = "raspberrypi"

# Drivers, and CoAP, that are named are in if the board's defconfig has them; those that are not named
# are out. libcoap does DTLS with OpenSSL, unless PACKAGECONFIG:pn-libcoap says "async mbedtls tcp".
PACKAGECONFIG ??= "can coap exec gpio hwmon i2c iio iio_buffer lines modbus proc self sim thermal w1 \
    ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'systemd', 'init', d)} \
    ${@bb.utils.contains('PTEST_ENABLED', '1', 'tests', '', d)} \
"
PACKAGECONFIG[can] = ",,"
PACKAGECONFIG[coap] = ",,libcoap"
PACKAGECONFIG[exec] = ",,"
PACKAGECONFIG[gpio] = ",,"
PACKAGECONFIG[hwmon] = ",,"
PACKAGECONFIG[i2c] = ",,"
PACKAGECONFIG[iio] = ",,"
PACKAGECONFIG[iio_buffer] = ",,"
PACKAGECONFIG[lines] = ",,"
PACKAGECONFIG[modbus] = ",,libmodbus"
PACKAGECONFIG[proc] = ",,"
PACKAGECONFIG[self] = ",,"
PACKAGECONFIG[sim] = ",,"
PACKAGECONFIG[thermal] = ",,"
PACKAGECONFIG[w1] = ",,"
PACKAGECONFIG[systemd] = ",,"
PACKAGECONFIG[init] = ",,"
PACKAGECONFIG[import] = ",,,util-linux-findfs util-linux-unshare"
PACKAGECONFIG[metrics] = ",,"
PACKAGECONFIG[tests] = "-DRUNNEL_TESTS=unit -DRUNNEL_TESTS_AT=${PTEST_PATH},-DRUNNEL_TESTS=OFF,cmocka"

# flag:symbol
RUNNEL_DRIVERS = "can:DRIVER_CAN coap:COAP exec:DRIVER_EXEC gpio:DRIVER_GPIO hwmon:DRIVER_HWMON \
    i2c:DRIVER_I2C iio:DRIVER_IIO iio_buffer:DRIVER_IIO_BUFFER lines:DRIVER_LINES \
    modbus:DRIVER_MODBUS proc:DRIVER_PROC self:DRIVER_SELF sim:DRIVER_SIM thermal:DRIVER_THERMAL \
    w1:DRIVER_W1"
RUNNEL_SERVICES = "systemd:SERVICE_SYSTEMD init:SERVICE_INIT import:SERVICE_IMPORT \
    metrics:SERVICE_METRICS"

def runnel_fragment(d):
    """What PACKAGECONFIG says, as lines of Kconfig."""
    chosen = d.getVar('PACKAGECONFIG').split()
    lines = []
    for pair in d.getVar('RUNNEL_DRIVERS').split():
        flag, symbol = pair.split(':')
        if flag not in chosen:
            lines.append('# CONFIG_%s is not set' % symbol)
    for pair in d.getVar('RUNNEL_SERVICES').split():
        flag, symbol = pair.split(':')
        lines.append('CONFIG_%s=%s' % (symbol, 'y' if flag in chosen else 'n'))
    return '\n'.join(lines)

# Makefiles, because menuconfig, diffconfig and savedefconfig of the class cml1 call make in ${B},
# where CMake has targets of these names.
OECMAKE_GENERATOR = "Unix Makefiles"
EXTRA_OECMAKE = " \
    -DCMAKE_BUILD_TYPE=Release \
    -DBOARD=${RUNNEL_BOARD} \
    -DRUNNEL_DEFCONFIG=${B}/defconfig \
    -DRUNNEL_PYTHON=${PYTHON} \
    -DRUNNEL_WERROR=OFF \
    -DRUNNEL_UNIT_DIR=${systemd_system_unitdir} \
    -DRUNNEL_SYSUSERS_DIR=${nonarch_libdir}/sysusers.d \
    -DRUNNEL_TMPFILES_DIR=${nonarch_libdir}/tmpfiles.d \
    -DRUNNEL_UDEV_DIR=${nonarch_libdir}/udev/rules.d \
"

do_configure() {
	if [ ! -e ${S}/boards/${RUNNEL_BOARD}/defconfig ]; then
		bbfatal "RUNNEL_BOARD is ${RUNNEL_BOARD}, which is none of $(cd ${S}/boards && echo *)"
	fi
	cat > ${WORKDIR}/packageconfig.cfg <<EOF
${@runnel_fragment(d)}
EOF
	cd ${S}
	${PYTHON} platform/cmake/kconfig.py merge Kconfig boards/${RUNNEL_BOARD}/defconfig \
		${B}/defconfig ${WORKDIR}/packageconfig.cfg ${@' '.join(find_cfgs(d))} \
		|| bbfatal "The configuration does not hold; what is wrong with it stands above"
	cd ${B}
	cmake_do_configure
}

# What menuconfig left in ${B}/.config becomes ${B}/defconfig.
do_savedefconfig() {
	oe_runmake -C ${B} savedefconfig
	bbplain "Saved as ${B}/defconfig"
}
do_savedefconfig[nostamp] = "1"
addtask savedefconfig after do_configure

# ---- What is installed ----

SYSTEMD_SERVICE:${PN} = "${@bb.utils.contains('PACKAGECONFIG', 'systemd', 'runnel.service', '', d)}"

INITSCRIPT_NAME = "S90runnel"
INITSCRIPT_PARAMS = "defaults 90 10"
INHIBIT_UPDATERCD_BBCLASS = "${@bb.utils.contains('PACKAGECONFIG', 'init', '', '1', d)}"

# As in sysusers.d; the groups open the devices of the sensors.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system gpio; --system i2c; --system spi"
USERADD_PARAM:${PN} = "--system --home-dir ${localstatedir}/lib/runnel --no-create-home \
    --shell /sbin/nologin --user-group --groups dialout,gpio,i2c,spi runnel"

# What becomes /etc/runnel/runnel.json: a file of the source, or runnel.json in SRC_URI. The boards of
# QEMU keep their spool on /data; the others where every package does.
RUNNEL_JSON ??= "${RUNNEL_MACHINE_JSON}"
RUNNEL_MACHINE_JSON = "platform/etc/runnel.json"
RUNNEL_MACHINE_JSON:qemuarm = "boards/${RUNNEL_BOARD}/runnel.json"
RUNNEL_MACHINE_JSON:qemuarm64 = "boards/${RUNNEL_BOARD}/runnel.json"
RUNNEL_STATE ??= "${RUNNEL_MACHINE_STATE}"
RUNNEL_MACHINE_STATE = "${localstatedir}/lib/runnel"
RUNNEL_MACHINE_STATE:qemuarm = "/data/runnel"
RUNNEL_MACHINE_STATE:qemuarm64 = "/data/runnel"

do_install:append() {
	json="${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}/runnel.json"
	[ -e "$json" ] || json="${S}/${RUNNEL_JSON}"
	install -D -m 0644 "$json" ${D}${sysconfdir}/runnel/runnel.json
	if [ "${RUNNEL_STATE}" != "${localstatedir}/lib/runnel" ]; then
		install -d ${D}${nonarch_libdir}/tmpfiles.d ${D}${sysconfdir}/default
		echo "d ${RUNNEL_STATE} 0750 runnel runnel -" \
			> ${D}${nonarch_libdir}/tmpfiles.d/runnel-state.conf
		echo "STATE=${RUNNEL_STATE}" >> ${D}${sysconfdir}/default/runnel
	fi
}

do_install_ptest() {
	DESTDIR=${D} cmake --install ${B} --component tests
}

FILES:${PN} += " \
    ${nonarch_libdir}/sysusers.d/runnel.conf \
    ${nonarch_libdir}/tmpfiles.d/runnel*.conf \
    ${nonarch_libdir}/runnel/import \
    ${nonarch_libdir}/runnel/metrics \
    ${nonarch_libdir}/udev/rules.d/80-runnel-import.rules \
    ${systemd_system_unitdir}/runnel-*.service \
    ${systemd_system_unitdir}/runnel-*.timer \
"
CONFFILES:${PN} = " \
    ${sysconfdir}/default/runnel \
    ${sysconfdir}/runnel/runnel.json \
"
# Hosts of AWS are trusted by roots that are built in; these are for all others.
RRECOMMENDS:${PN} = "ca-certificates"
# Some tests make name spaces of their own.
RDEPENDS:${PN}-ptest += "util-linux-unshare"
