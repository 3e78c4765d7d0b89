# The model registry (models/registry.json) as bytes inside the library, and a link to the models
# beside the build's programs, so that they find the embedded model as installed ones do.
set(registry_json ${PROJECT_SOURCE_DIR}/models/registry.json)
set(registry_c ${PROJECT_BINARY_DIR}/generated/registry_data.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${registry_json})
file(READ ${registry_json} registry_hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," registry_bytes "${registry_hex}")
string(REGEX REPLACE "(0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],)"
       "\\1\n" registry_bytes "${registry_bytes}")
file(CONFIGURE OUTPUT ${registry_c} @ONLY CONTENT
"/* Made from models/registry.json by cmake/Hub.cmake. */
#include \"hub/registry.h\"

const unsigned char stapes__registry_data[] = {
@registry_bytes@};
const size_t stapes__registry_data_size = sizeof stapes__registry_data;
")
list(APPEND STAPES_SOURCES ${registry_c})
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/models ${PROJECT_BINARY_DIR}/models SYMBOLIC)
