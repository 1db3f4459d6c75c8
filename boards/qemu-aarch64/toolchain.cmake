# SPDX-License-Identifier: Apache-2.0
# What Debian's arm64 asks of a processor, and no more.
set(RUNNEL_ARCHITECTURE arm64)
set(CMAKE_C_FLAGS_INIT "-march=armv8-a")
include(${CMAKE_CURRENT_LIST_DIR}/../../platform/cmake/cross.cmake)
