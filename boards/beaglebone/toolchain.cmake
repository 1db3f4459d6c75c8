# SPDX-License-Identifier: Apache-2.0
# AM335x: one Cortex-A8.
set(RUNNEL_ARCHITECTURE armhf)
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-a8 -mfpu=neon -mfloat-abi=hard")
include(${CMAKE_CURRENT_LIST_DIR}/../../platform/cmake/cross.cmake)
