# SPDX-License-Identifier: Apache-2.0
# Kconfig decides what is compiled. Gives RUNNEL_CONFIG_HEADER (autoconf.h), the CONFIG_* symbols as
# CMake variables, and the targets menuconfig and savedefconfig.

# Debian's kconfiglib belongs to Debian's python3, which may not be the first on PATH.
find_program(RUNNEL_PYTHON NAMES python3 PATHS /usr/bin NO_CMAKE_FIND_ROOT_PATH NO_DEFAULT_PATH)
if(NOT RUNNEL_PYTHON)
    find_program(RUNNEL_PYTHON NAMES python3 NO_CMAKE_FIND_ROOT_PATH REQUIRED)
endif()

# Another file may be named, for a build that no board has: -DRUNNEL_DEFCONFIG=FILE.
if(RUNNEL_DEFCONFIG)
    get_filename_component(RUNNEL_DEFCONFIG "${RUNNEL_DEFCONFIG}" ABSOLUTE)
else()
    set(RUNNEL_DEFCONFIG ${CMAKE_SOURCE_DIR}/boards/${BOARD}/defconfig)
endif()
if(NOT EXISTS ${RUNNEL_DEFCONFIG})
    file(GLOB boards RELATIVE ${CMAKE_SOURCE_DIR}/boards ${CMAKE_SOURCE_DIR}/boards/*/defconfig)
    string(REPLACE "/defconfig" "" boards "${boards}")
    string(REPLACE ";" ", " boards "${boards}")
    message(FATAL_ERROR "-DBOARD=${BOARD}: there is no ${RUNNEL_DEFCONFIG}.\nBoards: ${boards}")
endif()

# What is given as -DCONFIG_X=Y would be overwritten below without a word.
get_cmake_property(cached CACHE_VARIABLES)
foreach(variable IN LISTS cached)
    if(variable MATCHES "^CONFIG_[A-Z0-9_]+$")
        unset(${variable} CACHE) # so that the next try succeeds
        list(APPEND given ${variable})
    endif()
endforeach()
if(given)
    string(REPLACE ";" ", -D" given "${given}")
    message(FATAL_ERROR
        "-D${given}: symbols of Kconfig are not given to cmake. Configure without them and "
        "choose with\n"
        "  cmake --build ${CMAKE_BINARY_DIR} -t menuconfig\n"
        "or write them into ${RUNNEL_DEFCONFIG} "
        "(or a file of yours: -DRUNNEL_DEFCONFIG=FILE).")
endif()

set(RUNNEL_CONFIG ${CMAKE_BINARY_DIR}/.config)
set(RUNNEL_CONFIG_HEADER ${CMAKE_BINARY_DIR}/autoconf.h)

execute_process(
    COMMAND ${RUNNEL_PYTHON} ${CMAKE_SOURCE_DIR}/platform/cmake/kconfig.py configure
        ${CMAKE_SOURCE_DIR}/Kconfig ${RUNNEL_DEFCONFIG} ${RUNNEL_CONFIG} ${RUNNEL_CONFIG_HEADER}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    RESULT_VARIABLE result
    ERROR_VARIABLE faults)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${faults}")
endif()

file(GLOB_RECURSE kconfig_files ${CMAKE_SOURCE_DIR}/agent/Kconfig
    ${CMAKE_SOURCE_DIR}/drivers/Kconfig ${CMAKE_SOURCE_DIR}/platform/Kconfig)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${kconfig_files}
    ${CMAKE_SOURCE_DIR}/Kconfig ${CMAKE_SOURCE_DIR}/platform/cmake/kconfig.py
    ${RUNNEL_DEFCONFIG} ${RUNNEL_CONFIG})

file(STRINGS ${RUNNEL_CONFIG} lines REGEX "^CONFIG_[A-Za-z0-9_]+=")
foreach(line IN LISTS lines)
    string(REGEX MATCH "^(CONFIG_[A-Za-z0-9_]+)=(.*)$" ignored "${line}")
    set(symbol ${CMAKE_MATCH_1}) # the next REGEX overwrites CMAKE_MATCH_1
    string(REGEX REPLACE "^\"(.*)\"$" "\\1" value "${CMAKE_MATCH_2}")
    set(${symbol} "${value}")
endforeach()

# menuconfig writes .config; the next build sees that it changed and configures itself again. Where
# the locale of the environment is not installed it would not even begin; C.UTF-8 always is.
add_custom_target(menuconfig
    COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C.UTF-8 KCONFIG_CONFIG=${RUNNEL_CONFIG}
        ${RUNNEL_PYTHON} -m menuconfig Kconfig
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} USES_TERMINAL)
add_custom_target(savedefconfig
    COMMAND ${RUNNEL_PYTHON} platform/cmake/kconfig.py save
        Kconfig ${RUNNEL_CONFIG} ${RUNNEL_DEFCONFIG}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
