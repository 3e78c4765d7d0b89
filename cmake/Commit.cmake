# cmake -DSOURCE=... -DOUT=... -P Commit.cmake: writes a header with the commit of a working copy,
# "" where there is none (a source archive).
cmake_minimum_required(VERSION 3.22)
set(commit "")
find_package(Git QUIET)
if(GIT_FOUND AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE} describe --always --dirty --abbrev=10
                  OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define STAPES_COMMIT \"@commit@\"\n" @ONLY)
