# SPDX-License-Identifier: Apache-2.0
# On which packages the program depends. CPack's own way looks at this machine's libraries alone;
# for another architecture those of its sysroot count, and what their packages say of them.
set(work ${CPACK_PACKAGE_DIRECTORY}/_shlibdeps)
file(WRITE ${work}/debian/control "Source: runnel\n\nPackage: runnel\nArchitecture: any\n")
set(sysroot)
if(CPACK_RUNNEL_SYSROOT)
    set(sysroot -S${CPACK_RUNNEL_SYSROOT})
endif()
execute_process(
    COMMAND ${CMAKE_COMMAND} -E env DEB_HOST_ARCH=${CPACK_DEBIAN_PACKAGE_ARCHITECTURE}
        dpkg-shlibdeps -O ${sysroot} ${CPACK_RUNNEL_PROGRAM}
    WORKING_DIRECTORY ${work} RESULT_VARIABLE result OUTPUT_VARIABLE depends ERROR_VARIABLE faults)
if(NOT result EQUAL 0 OR NOT depends MATCHES "^shlibs:Depends=([^\n]+)")
    message(FATAL_ERROR "dpkg-shlibdeps: ${result} ${depends}${faults}")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "${CMAKE_MATCH_1}, systemd | systemd-standalone-sysusers | systemd-sysusers")
