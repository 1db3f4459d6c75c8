# SPDX-License-Identifier: Apache-2.0
# What Debian wants in a package beside what is installed: who may copy it, what changed, and man
# pages that are compressed, byte for byte the same for the same source. And what the program, as it
# is in the package, consists of (CycloneDX).
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(doc ${root}/usr/share/doc/${CPACK_PACKAGE_NAME})

set(name ${CPACK_PACKAGE_NAME})
set(version ${CPACK_PACKAGE_VERSION})
set(maintainer "${CPACK_PACKAGE_CONTACT}")
string(TIMESTAMP date "%a, %d %b %Y 00:00:00 +0000" UTC)
configure_file(${CPACK_RUNNEL_SOURCE}/platform/debian/changelog ${doc}/changelog @ONLY)
configure_file(${CPACK_RUNNEL_SOURCE}/platform/debian/copyright ${doc}/copyright COPYONLY)

execute_process(
    COMMAND ${CPACK_RUNNEL_PYTHON} -B ${CPACK_RUNNEL_SOURCE}/platform/cmake/sbom.py
        ${CPACK_RUNNEL_BUILD} ${root}/usr/bin/runnel ${doc}/runnel.cdx.json
    RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "sbom.py: ${result}")
endif()

file(GLOB pages ${root}/usr/share/man/*/*)
foreach(file IN LISTS pages ITEMS ${doc}/changelog)
    execute_process(COMMAND gzip -9nf ${file} RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "gzip ${file}: ${result}")
    endif()
endforeach()
