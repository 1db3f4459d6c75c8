# SPDX-License-Identifier: Apache-2.0
# Debian packages: cmake --build FOLDER -t package. They need dpkg-dev, and for another architecture
# the sysroot that its board is built with (tests/tools/sysroot.sh).
set(RUNNEL_MAINTAINER "runnel maintainers <runnel@localhost>" CACHE STRING
    "Who answers for the packages: NAME <ADDRESS>")

find_program(RUNNEL_DPKG_ARCHITECTURE dpkg-architecture)
if(NOT RUNNEL_DPKG_ARCHITECTURE OR NOT CMAKE_LIBRARY_ARCHITECTURE OR NOT CONFIG_SERVICE_SYSTEMD)
    return()
endif()
execute_process(COMMAND ${RUNNEL_DPKG_ARCHITECTURE} --host-type ${CMAKE_LIBRARY_ARCHITECTURE}
        --query DEB_HOST_ARCH
    OUTPUT_VARIABLE CPACK_DEBIAN_PACKAGE_ARCHITECTURE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME runnel)
set(CPACK_PACKAGE_CONTACT "${RUNNEL_MAINTAINER}")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "telemetry agent that brings what sensors measure to AWS
Reads the sensors of a gateway, keeps what they measured in a spool on flash
while the link is away, and delivers it to Kinesis Data Streams, Data
Firehose, API Gateway, S3 or a directory, complete and unaltered.")
foreach(script conffiles postinst prerm postrm)
    list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/platform/debian/${script})
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# What is known only when the package is made: package_depends.cmake, package_files.cmake.
set(CPACK_RUNNEL_SOURCE ${CMAKE_SOURCE_DIR})
set(CPACK_RUNNEL_PROGRAM ${CMAKE_BINARY_DIR}/runnel)
set(CPACK_RUNNEL_BUILD ${CMAKE_BINARY_DIR})
set(CPACK_RUNNEL_PYTHON ${RUNNEL_PYTHON})
set(CPACK_RUNNEL_SYSROOT "${RUNNEL_SYSROOT}")
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/platform/cmake/package_depends.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/platform/cmake/package_files.cmake)
include(CPack)
