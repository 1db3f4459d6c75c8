# SPDX-License-Identifier: Apache-2.0
# 32-bit ARM with Debian's cross compiler; the libraries come from a private sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
set(CMAKE_C_FLAGS_INIT "-march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard")

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(RUNNEL_SYSROOT ${root}/build/sysroot/armhf CACHE PATH "The board's libraries")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RUNNEL_SYSROOT)
if(NOT EXISTS ${RUNNEL_SYSROOT}/usr/include)
    message(FATAL_ERROR "${RUNNEL_SYSROOT} holds no libraries. Run tests/tools/sysroot.sh armhf")
endif()

set(CMAKE_FIND_ROOT_PATH ${RUNNEL_SYSROOT} /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,-rpath-link,${RUNNEL_SYSROOT}/usr/lib/arm-linux-gnueabihf")

# binfmt_misc is not there in containers, so the emulator is called by name.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm-static -L ${RUNNEL_SYSROOT})
