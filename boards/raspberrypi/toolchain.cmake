# SPDX-License-Identifier: Apache-2.0
# Cortex-A53 (3B+, Zero 2 W), A72 (4) and A76 (5): what all three have, timed for the middle one.
set(RUNNEL_ARCHITECTURE arm64)
set(CMAKE_C_FLAGS_INIT "-march=armv8-a+crc -mtune=cortex-a72")
include(${CMAKE_CURRENT_LIST_DIR}/../../platform/cmake/cross.cmake)
