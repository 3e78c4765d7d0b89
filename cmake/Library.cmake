# libstapes, static and shared, from one set of objects. Sources are found by folder; a file named
# *_avx2.c or *_avx512.c gets that instruction set's flags and nothing else does.
file(GLOB_RECURSE STAPES_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(FILTER STAPES_SOURCES EXCLUDE REGEX "/x86/")
endif()
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(FILTER STAPES_SOURCES EXCLUDE REGEX "/arm/")
endif()
if(NOT STAPES_FFMPEG)
  list(FILTER STAPES_SOURCES EXCLUDE REGEX "/audio/ffmpeg\\.c$")
else()
  list(FILTER STAPES_SOURCES EXCLUDE REGEX "/audio/ffmpeg_stub\\.c$")
endif()
foreach(source IN LISTS STAPES_SOURCES)
  foreach(level avx2 avx512)
    if(source MATCHES "_${level}\\.c$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${STAPES_FLAGS_${level}}")
    endif()
  endforeach()
endforeach()

include(cmake/Hub.cmake)

add_library(stapes_objects OBJECT ${STAPES_SOURCES})
target_include_directories(stapes_objects PUBLIC ${PROJECT_SOURCE_DIR}/include
                                                 ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(stapes_objects PRIVATE _GNU_SOURCE
  STAPES_DATA_DIR="${CMAKE_INSTALL_FULL_DATADIR}/stapes"
  $<$<BOOL:${STAPES_FFMPEG}>:STAPES_WITH_FFMPEG>)
set(STAPES_LIBS PkgConfig::SNDFILE PkgConfig::SOXR PkgConfig::JANSSON PkgConfig::YAML
    PkgConfig::UTF8PROC PkgConfig::CURL PkgConfig::CRYPTO PkgConfig::ZLIB Threads::Threads m)
if(STAPES_FFMPEG)
  list(APPEND STAPES_LIBS PkgConfig::FFMPEG)
endif()
target_link_libraries(stapes_objects PRIVATE ${STAPES_LIBS})

add_library(stapes_static STATIC $<TARGET_OBJECTS:stapes_objects>)
add_library(stapes_shared SHARED $<TARGET_OBJECTS:stapes_objects>)
set_target_properties(stapes_static PROPERTIES OUTPUT_NAME stapes EXPORT_NAME static)
set_target_properties(stapes_shared PROPERTIES OUTPUT_NAME stapes EXPORT_NAME shared
                      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
foreach(lib stapes_static stapes_shared)
  target_include_directories(${lib} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${lib} PRIVATE ${STAPES_LIBS})
endforeach()
# For the command, the benchmarks and the tests, which may look behind the public headers.
add_library(stapes_internal INTERFACE)
target_include_directories(stapes_internal INTERFACE ${PROJECT_SOURCE_DIR}/include
                                                     ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(stapes_internal INTERFACE _GNU_SOURCE)
target_link_libraries(stapes_internal INTERFACE stapes_static ${STAPES_LIBS})
