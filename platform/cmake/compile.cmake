# SPDX-License-Identifier: Apache-2.0
# How everything is compiled, and the one way to declare a stage.

include(CheckPIESupported)

# For tests, each in a build folder of its own: address,undefined and thread exclude each other.
set(RUNNEL_SANITIZE "" CACHE STRING "address, undefined or thread (comma-separated), or nothing")

# Costs 8 % of the program on armv7 (boards/SIZE.md), so that who has to may do without.
set(RUNNEL_STACK_PROTECTOR -fstack-protector-strong CACHE STRING
    "How the compiler guards return addresses, or -fno-stack-protector")

add_library(runnel_flags INTERFACE)
target_compile_features(runnel_flags INTERFACE c_std_11)
target_compile_definitions(runnel_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(runnel_flags INTERFACE
    -include ${RUNNEL_CONFIG_HEADER}
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wformat=2
    -fno-common -ffunction-sections -fdata-sections ${RUNNEL_STACK_PROTECTOR})
target_include_directories(runnel_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_link_options(runnel_flags INTERFACE -Wl,--gc-sections -Wl,--as-needed
    -Wl,-z,relro,-z,now,-z,noexecstack)
target_link_libraries(runnel_flags INTERFACE Threads::Threads)

# Off for distributions: their next compiler knows warnings that nobody has seen yet.
option(RUNNEL_WERROR "Let a warning end the build" ON)
if(RUNNEL_WERROR)
    target_compile_options(runnel_flags INTERFACE -Werror)
endif()

# No path of the build in what is installed. Who builds distributions has a mapping that leads
# debuggers to the sources.
if(NOT CMAKE_C_FLAGS MATCHES "-f(file|debug|macro)-prefix-map=")
    target_compile_options(runnel_flags INTERFACE
        "SHELL:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")
endif()

if(RUNNEL_SANITIZE)
    target_compile_options(runnel_flags INTERFACE
        -fsanitize=${RUNNEL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_definitions(runnel_flags INTERFACE RUNNEL_SANITIZED=1)
    target_link_options(runnel_flags INTERFACE -fsanitize=${RUNNEL_SANITIZE})
else()
    # It needs the optimiser, and the sanitizers see more without it. Level 3 knows sizes of what is
    # taken at run time, with compilers that can tell them.
    set(fortify 3)
    if(CMAKE_C_COMPILER_ID STREQUAL GNU AND CMAKE_C_COMPILER_VERSION VERSION_LESS 12)
        set(fortify 2)
    endif()
    target_compile_options(runnel_flags INTERFACE
        "$<$<NOT:$<CONFIG:Debug>>:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify}>")
    # Where the processor checks what is jumped and returned to; older ones pass over it. Those of
    # ARM that are in gateways do not (Cortex-A53, A72, A76), and programs for those that do hang in
    # QEMU 7.2 (-mbranch-protection=standard).
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i[3-6]86)$")
        target_compile_options(runnel_flags INTERFACE -fcf-protection=full)
    endif()
endif()

# The program is position-independent also where the compiler's default is not. A static one cannot
# be everywhere: Debian's C library for armhf has no start-up file for it.
if(RUNNEL_STATIC)
    target_link_options(runnel_flags INTERFACE -static)
else()
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()
check_pie_supported(LANGUAGES C)

set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)

# For what becomes the program. A stack that grows too deep ends in its guard, which no frame steps
# over: the guard is twice as large as the largest (platform/linux/thread.c; below main's stack the
# kernel keeps 1 MB free), and every call writes a return address. -fstack-clash-protection, which
# makes each frame touch all its pages, would buy nothing more for its 14 KB on armv7. The
# sanitizers' red zones make frames that no device has.
add_library(runnel_program_flags INTERFACE)
target_link_libraries(runnel_program_flags INTERFACE runnel_flags)
if(NOT RUNNEL_SANITIZE)
    target_compile_options(runnel_program_flags INTERFACE -Walloca -Wframe-larger-than=32768)
endif()

# runnel_stage(name SOURCES files... USES stages...): the static library runnel_<name>.
function(runnel_stage name)
    cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
    add_library(runnel_${name} STATIC ${arg_SOURCES})
    target_link_libraries(runnel_${name} PRIVATE runnel_program_flags PUBLIC ${arg_USES})
endfunction()
