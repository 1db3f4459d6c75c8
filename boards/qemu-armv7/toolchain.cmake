# SPDX-License-Identifier: Apache-2.0
# What Debian's armhf asks of a processor, and no more.
set(RUNNEL_ARCHITECTURE armhf)
set(CMAKE_C_FLAGS_INIT "-march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard")
include(${CMAKE_CURRENT_LIST_DIR}/../../platform/cmake/cross.cmake)
