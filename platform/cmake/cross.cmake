# SPDX-License-Identifier: Apache-2.0
# Building for another architecture with Debian's compiler. A board's toolchain.cmake sets
# RUNNEL_ARCHITECTURE, as Debian names it, and the flags of its processor, and includes this. The
# libraries come from a private sysroot.
if(RUNNEL_ARCHITECTURE STREQUAL armhf)
    set(CMAKE_SYSTEM_PROCESSOR armv7l)
    set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
    set(runnel_emulator qemu-arm-static)
elseif(RUNNEL_ARCHITECTURE STREQUAL arm64)
    set(CMAKE_SYSTEM_PROCESSOR aarch64)
    set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
    set(runnel_emulator qemu-aarch64-static)
else()
    message(FATAL_ERROR "RUNNEL_ARCHITECTURE=${RUNNEL_ARCHITECTURE}: armhf or arm64")
endif()
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${CMAKE_LIBRARY_ARCHITECTURE}-gcc)

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(RUNNEL_SYSROOT ${root}/build/sysroot/${RUNNEL_ARCHITECTURE} CACHE PATH "The board's libraries")
set(RUNNEL_PREFIX "" CACHE PATH "Libraries that go before those of the sysroot")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RUNNEL_SYSROOT RUNNEL_PREFIX)
if(NOT EXISTS ${RUNNEL_SYSROOT}/usr/include)
    message(FATAL_ERROR "${RUNNEL_SYSROOT} holds no libraries. "
        "Run tests/tools/sysroot.sh ${RUNNEL_ARCHITECTURE}")
endif()

set(CMAKE_FIND_ROOT_PATH ${RUNNEL_PREFIX} ${RUNNEL_SYSROOT} /usr/${CMAKE_LIBRARY_ARCHITECTURE})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_EXE_LINKER_FLAGS_INIT
    "-Wl,-rpath-link,${RUNNEL_SYSROOT}/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")

# binfmt_misc is not there in containers, so the emulator is called by name.
set(CMAKE_CROSSCOMPILING_EMULATOR ${runnel_emulator} -L ${RUNNEL_SYSROOT})
