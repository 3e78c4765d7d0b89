# make install: the command, the library in both forms, headers, the embedded model, the manual
# page, completions, and what pkg-config and find_package(stapes) need.
include(CMakePackageConfigHelpers)

install(TARGETS stapes_static stapes_shared EXPORT stapesTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/stapes DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY models/nano DESTINATION ${CMAKE_INSTALL_DATADIR}/stapes/models)

# The manual page and the completions are printed by the command itself, from its option tables.
set(STAPES_PAGES ${PROJECT_BINARY_DIR}/pages)
add_custom_command(
  OUTPUT ${STAPES_PAGES}/stapes.1 ${STAPES_PAGES}/stapes.bash ${STAPES_PAGES}/_stapes
         ${STAPES_PAGES}/stapes.fish
  COMMAND ${CMAKE_COMMAND} -E make_directory ${STAPES_PAGES}
  COMMAND stapes man > ${STAPES_PAGES}/stapes.1
  COMMAND stapes completion bash > ${STAPES_PAGES}/stapes.bash
  COMMAND stapes completion zsh > ${STAPES_PAGES}/_stapes
  COMMAND stapes completion fish > ${STAPES_PAGES}/stapes.fish
  DEPENDS stapes VERBATIM)
add_custom_target(stapes_pages ALL DEPENDS ${STAPES_PAGES}/stapes.1)
install(FILES ${STAPES_PAGES}/stapes.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${STAPES_PAGES}/stapes.bash RENAME stapes
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${STAPES_PAGES}/_stapes DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${STAPES_PAGES}/stapes.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# pkg-config: the libraries behind libstapes matter only to who links libstapes.a. They are named
# one by one, not required as packages: that would draw in everything they were built with, which
# only a program without any shared library needs.
set(STAPES_PC_PACKAGES SNDFILE SOXR JANSSON YAML UTF8PROC CURL CRYPTO ZLIB)
if(STAPES_FFMPEG)
  list(APPEND STAPES_PC_PACKAGES FFMPEG)
endif()
set(STAPES_PC_LIBS "")
foreach(package IN LISTS STAPES_PC_PACKAGES)
  foreach(library IN LISTS ${package}_LIBRARIES)
    string(APPEND STAPES_PC_LIBS "-l${library} ")
  endforeach()
endforeach()
# An absolute CMAKE_INSTALL_LIBDIR stays as it is, a relative one hangs below the prefix.
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(STAPES_PC_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(STAPES_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
file(RELATIVE_PATH STAPES_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
     ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/stapes.pc.in stapes.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/stapes.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(STAPES_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/stapes)
configure_package_config_file(cmake/stapesConfig.cmake.in stapesConfig.cmake
                              INSTALL_DESTINATION ${STAPES_CMAKE_DIR})
write_basic_package_version_file(stapesConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/stapesConfig.cmake
              ${PROJECT_BINARY_DIR}/stapesConfigVersion.cmake DESTINATION ${STAPES_CMAKE_DIR})
install(EXPORT stapesTargets NAMESPACE stapes:: DESTINATION ${STAPES_CMAKE_DIR})
