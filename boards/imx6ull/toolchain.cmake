# SPDX-License-Identifier: Apache-2.0
# i.MX6ULL: one Cortex-A7.
set(RUNNEL_ARCHITECTURE armhf)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-a7 -mfpu=neon-vfpv4 -mfloat-abi=hard")
include(${CMAKE_CURRENT_LIST_DIR}/../../platform/cmake/cross.cmake)
