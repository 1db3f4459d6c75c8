# SPDX-License-Identifier: Apache-2.0
# The foreign libraries, each as one target runnel::<name>. pkg-config is a hint at most: Debian's
# mbedTLS 2.28 and Yocto's LMDB come without it.

# For a device that has no libraries to share; see platform/mbedtls/README.md.
option(RUNNEL_STATIC "One program with all libraries in it, also that of C" OFF)
if(RUNNEL_STATIC)
    set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
endif()

# runnel_find_library(name header package libraries...): the package is Debian's name for a message.
function(runnel_find_library name header package)
    find_path(${name}_INCLUDE_DIR ${header})
    if(NOT ${name}_INCLUDE_DIR)
        message(FATAL_ERROR "<${header}> is missing. On Debian: apt-get install ${package}")
    endif()
    set(found)
    foreach(library IN LISTS ARGN)
        find_library(${name}_${library}_LIBRARY ${library})
        if(NOT ${name}_${library}_LIBRARY)
            message(FATAL_ERROR "lib${library} is missing. On Debian: apt-get install ${package}")
        endif()
        list(APPEND found ${${name}_${library}_LIBRARY})
    endforeach()
    add_library(runnel::${name} INTERFACE IMPORTED GLOBAL)
    target_include_directories(runnel::${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIR})
    target_link_libraries(runnel::${name} INTERFACE ${found})
endfunction()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
runnel_find_library(lmdb lmdb.h liblmdb-dev lmdb)
runnel_find_library(cjson cjson/cJSON.h libcjson-dev cjson)
runnel_find_library(mbedtls mbedtls/ssl.h libmbedtls-dev mbedtls mbedx509 mbedcrypto)
if(CONFIG_GZIP)
    runnel_find_library(zlib zlib.h zlib1g-dev z)
endif()
if(CONFIG_DRIVER_MODBUS)
    # Under the LGPL: a program that has it inside must come with what it takes to link it anew.
    if(RUNNEL_STATIC)
        message(FATAL_ERROR "libmodbus (LGPL) is only linked dynamically. Set "
            "CONFIG_DRIVER_MODBUS=n for a static program")
    endif()
    runnel_find_library(modbus modbus/modbus.h libmodbus-dev modbus)
endif()
if(CONFIG_COAP)
    # One library by several names: what it does DTLS with is its builder's choice, and the program
    # asks for it when it runs. -DRUNNEL_COAP_LIBRARY=coap-3-gnutls takes a certain one. A static
    # program gets no second TLS library without being told, nor one that does no DTLS.
    set(names coap-3-mbedtls coap-3)
    if(NOT RUNNEL_STATIC)
        list(APPEND names coap-3-openssl coap-3-gnutls coap-3-notls)
    endif()
    set(RUNNEL_COAP_LIBRARY "${names}"
        CACHE STRING "The names of libcoap, of which the first that is there is taken")
    find_path(coap_INCLUDE_DIR coap3/coap.h)
    find_library(coap_LIBRARY NAMES ${RUNNEL_COAP_LIBRARY} NAMES_PER_DIR)
    if(NOT coap_LIBRARY AND RUNNEL_STATIC)
        message(FATAL_ERROR "A static program needs a libcoap with mbedTLS, of which Debian has "
            "none. Set CONFIG_COAP=n, or take CoAP without DTLS, -DRUNNEL_COAP_LIBRARY=coap-3-notls"
            "; platform/mbedtls/README.md says how to make one")
    endif()
    if(NOT coap_INCLUDE_DIR OR NOT coap_LIBRARY)
        message(FATAL_ERROR "libcoap 4.3 is missing. On Debian: apt-get install libcoap3-dev")
    endif()
    add_library(runnel::coap INTERFACE IMPORTED GLOBAL)
    target_include_directories(runnel::coap SYSTEM INTERFACE ${coap_INCLUDE_DIR})
    target_link_libraries(runnel::coap INTERFACE ${coap_LIBRARY})
    if(RUNNEL_STATIC AND NOT coap_LIBRARY MATCHES "notls")
        target_link_libraries(runnel::coap INTERFACE runnel::mbedtls)
    endif()
endif()
