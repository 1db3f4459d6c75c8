# SPDX-License-Identifier: Apache-2.0
# Installs what starts the program. systemd looks below /usr/lib and /usr/local/lib. The program
# looks below /etc, so that is where its files go with these two prefixes; what is there is left as
# it is.
set(RUNNEL_UNIT_DIR lib/systemd/system CACHE PATH "Where units of systemd go")
set(RUNNEL_SYSUSERS_DIR lib/sysusers.d CACHE PATH "Where files of systemd-sysusers go")
set(RUNNEL_UDEV_DIR lib/udev/rules.d CACHE PATH "Where rules of udev go")
set(RUNNEL_TMPFILES_DIR lib/tmpfiles.d CACHE PATH "Where files of systemd-tmpfiles go")

# The sources name /usr/bin/runnel and /usr/lib/runnel. The prefix is known when it is installed: it
# may be given then.
function(runnel_install_service source folder permissions)
    get_filename_component(name ${source} NAME)
    install(CODE "
        file(READ \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\" text)
        set(bin \"${CMAKE_INSTALL_BINDIR}\")
        if(NOT IS_ABSOLUTE \"\${bin}\")
            set(bin \"\${CMAKE_INSTALL_PREFIX}/\${bin}\")
        endif()
        string(REPLACE \"/usr/bin/runnel\" \"\${bin}/runnel\" text \"\${text}\")
        string(REPLACE \"/usr/lib/runnel\" \"\${CMAKE_INSTALL_PREFIX}/lib/runnel\" text
            \"\${text}\")
        file(WRITE \"${CMAKE_CURRENT_BINARY_DIR}/service/${name}\" \"\${text}\")")
    install(${permissions} ${CMAKE_CURRENT_BINARY_DIR}/service/${name} DESTINATION ${folder})
endfunction()

# runnel_install_etc(source folder name)
function(runnel_install_etc source folder name)
    install(CODE "
        if(CMAKE_INSTALL_PREFIX MATCHES \"^/usr(/local)?/?$\" AND
           NOT EXISTS \"\$ENV{DESTDIR}${folder}/${name}\")
            file(INSTALL DESTINATION \"${folder}\" TYPE FILE RENAME ${name}
                FILES \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\")
        endif()")
endfunction()

if(CONFIG_SERVICE_SYSTEMD)
    runnel_install_service(systemd/runnel.service ${RUNNEL_UNIT_DIR} FILES)
    runnel_install_service(systemd/runnel-healthy.service ${RUNNEL_UNIT_DIR} FILES)
    install(FILES systemd/runnel.sysusers.conf
        DESTINATION ${RUNNEL_SYSUSERS_DIR} RENAME runnel.conf)
    install(FILES systemd/runnel.tmpfiles.conf
        DESTINATION ${RUNNEL_TMPFILES_DIR} RENAME runnel.conf)
endif()
if(CONFIG_SERVICE_IMPORT)
    runnel_install_service(import/import lib/runnel PROGRAMS)
endif()
if(CONFIG_SERVICE_IMPORT AND CONFIG_SERVICE_SYSTEMD)
    runnel_install_service(systemd/runnel-import.service ${RUNNEL_UNIT_DIR} FILES)
    runnel_install_service(systemd/runnel-import@.service ${RUNNEL_UNIT_DIR} FILES)
    install(FILES systemd/runnel-import.rules
        DESTINATION ${RUNNEL_UDEV_DIR} RENAME 80-runnel-import.rules)
endif()
if(CONFIG_SERVICE_METRICS)
    runnel_install_service(prometheus/metrics lib/runnel PROGRAMS)
    runnel_install_service(systemd/runnel-metrics.service ${RUNNEL_UNIT_DIR} FILES)
    runnel_install_service(systemd/runnel-metrics.timer ${RUNNEL_UNIT_DIR} FILES)
    install(FILES prometheus/runnel.rules.yml DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
if(CONFIG_SERVICE_INIT)
    runnel_install_service(busybox/S90runnel /etc/init.d PROGRAMS)
endif()
if(CONFIG_SERVICE_FILES)
    runnel_install_etc(etc/runnel.json /etc/runnel runnel.json)
    runnel_install_etc(etc/runnel.default /etc/default runnel)
endif()
