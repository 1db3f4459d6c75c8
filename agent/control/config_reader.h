/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_READER_H
#define RUNNEL_AGENT_CONTROL_CONFIG_READER_H

#include "agent/control/config.h"
#include "agent/control/config_fault.h"
#include "agent/control/config_pool.h"
#include "agent/control/schema.h"

/**
 * What the files behind config.h share while one configuration is read. Each of them reports what
 * it finds wrong in faults and goes on, so that one run shows everything.
 */
struct config_reader {
    const struct config_options *options;
    struct config *config;
    struct config_pool *pool;
    struct config_faults *faults;
    const struct json_node *root; /* NULL: there is no file, everything is a default */
    bool proxy_reported;          /* a variable that names a proxy is wrong: said once */
    const char *thing;            /* ${thing}, or NULL and why: */
    int thing_error;
    const char *thing_fault;
};

/* ---- config_files.c ---- */

#define STANDARD_FILE "/etc/runnel/runnel.json"

/** The parsed file and its fragments; nodes and names live until config_files_close. */
struct config_files;

/** Reads the configuration file and its fragments. 0; E_CONFIG: reported; E_NO_MEMORY. The files
 * are the caller's in any case. */
int config_files_open(const struct config_options *options, struct config_faults *faults,
                      struct config_files **ret_files);

/** The document, of the fragments and the main file, whose word on KEY, or on KEY in OBJECT if that
 *  is not NULL, counts; NULL if none says anything. */
const struct json_node *config_files_find(struct config_files *files, const char *object,
                                          const char *key);

/** Whether ACCEPT is true of a node of the main file or its fragments. */
bool config_files_any(struct config_files *files,
                      bool (*accept)(const struct json_node *node, const void *context),
                      const void *context);

/** Puts TEXT, called NAME, or the file NAME if TEXT is NULL, in the main file's place. 0 and its
 *  root; E_CONFIG: reported; E_NO_MEMORY. */
int config_files_apply(struct config_files *files, const char *name, const char *text, size_t count,
                       struct json_node **ret_root);

/** The main file's root, or NULL if there is none. */
struct json_node *config_files_main(struct config_files *files);
const char *config_files_main_name(const struct config_files *files); /* "" likewise */
/** Of the main file's text; "" likewise. */
const char *config_files_main_digest(const struct config_files *files);

/** All in one tree, or NULL if there is no file. Once, when the rest was done. */
const struct json_node *config_files_merge(struct config_files *files);

/** Of the main file, or of what has its place, or "" if there is none. */
const char *config_files_name(const struct config_files *files);
/** Of the INDEX-th file that was read, the main file and then its fragments; NULL behind the last.
 */
const char *config_files_name_at(const struct config_files *files, size_t index);
void config_files_close(struct config_files *files); /* NULL is allowed */

/* ---- config_place.c: unless the options ask for places, only where ${file:...} is written ---- */

/** The value at ADDRESS is what NODE says. */
void config_place_node(struct config_reader *reader, const struct json_node *node,
                       const void *address);

/** The value at ADDRESS is what WHERE (a variable's name) says. */
void config_place_note(struct config_reader *reader, const char *where, const void *address);

/* ---- config_home.c ---- */

/** In what a key called NAME stands, as a part of a sentence: "one of \"routes\""; NULL: in
 * nothing. */
const char *config_home(const char *name);

/* ---- config_layers.c ---- */

/** Where the state directory is: read as the rest will be, but of the files alone, and what is
 *  wrong with it is said by that. E_NO_MEMORY. */
int config_layers_find_state(struct config_reader *reader, struct config_files *files,
                             const char **ret_state);

/** Puts what was applied, or is offered, in the main file's place, and notes in the configuration
 *  what that is. 0; E_CONFIG: reported; E_NO_MEMORY. */
int config_layers_choose(struct config_reader *reader, struct config_files *files);

/* ---- config_read.c ---- */

/** Fills TARGET as TABLE says from OBJECT (NULL: defaults alone). */
void config_read_object(struct config_reader *reader, const struct json_node *object,
                        const struct schema_table *table, void *target);

/** Fills KEY's place in TARGET from OBJECT's member, or with its default. */
void config_read_key(struct config_reader *reader, const struct json_node *object,
                     const struct schema_key *key, void *target);

/** What OBJECT chooses as TABLE's selector; without an object what goes for none; NULL if that is
 * missing, wrong or not in this program. */
const char *config_read_choice(struct config_reader *reader, const struct json_node *object,
                               const struct schema_table *table);

/** NODE's text with its ${...} replaced, owned by the pool; NULL if it is no text or cannot be
 *  replaced, which whoever reads it as a key reports. */
const char *config_read_word(struct config_reader *reader, const struct json_node *node);

/** Whether NODE, which may be NULL, is one of KEY's choices that this program has. */
bool config_read_is_choice(struct config_reader *reader, const struct json_node *node,
                           const struct schema_key *key);

/** NODE's text with its ${...} replaced, owned by the pool; reports and returns NULL if it is no
 *  text or cannot be replaced. KEY says what was expected. */
const char *config_read_text(struct config_reader *reader, const struct json_node *node,
                             const struct schema_key *key);

/** Finds out what ${thing} stands for, before anything else is read. DEVICE and CREDENTIALS are
 *  the objects that say something of them, or NULL. */
void config_read_thing(struct config_reader *reader, const struct json_node *device,
                       const struct json_node *credentials);

/** Checks the scalar NODE against KEY and gives its text, for a driver. NULL: reported. */
const char *config_read_scalar(struct config_reader *reader, const struct json_node *node,
                               const struct schema_key *key, struct schema_value *ret_value);

/** Reports the scalar NODE as it is written, with WHY behind it. */
void config_read_fault(struct config_reader *reader, const struct json_node *node, const char *why);

/** Reports that NODE is no member of the object that it stands in; BEST: what was meant, or NULL.
 */
void config_read_unknown(struct config_reader *reader, const struct json_node *node,
                         const char *best);

/** Whether TEXT ("a.b") names a member no deeper than a document may be. */
bool config_read_is_path(const char *text);

/** OBJECT's member KEY; null counts as absent. */
const struct json_node *config_read_member(const struct json_node *object, const char *key);

/* ---- config_transforms.c ---- */

/** Reads the list NODE into SENSOR: what stands in each transform, and what its keys must have
 *  between them. Nothing where Kconfig left all out. */
void config_transforms_read(struct config_reader *reader, const struct json_node *node,
                            struct cfg_sensor *sensor);

/** What SENSOR's transforms, which NODE (its object) lists, must have between them and with the
 *  rest. */
void config_transforms_resolve(struct config_reader *reader, const struct json_node *node,
                               const struct cfg_sensor *sensor);

/** Warns of transforms that name none of SENSOR's "channels", which are all that it has. */
void config_transforms_channels(struct config_reader *reader, const struct json_node *node,
                                const struct cfg_sensor *sensor);

/* ---- config_sensors.c, config_coap.c, config_routes.c, config_credentials.c, config_proxy.c,
 * config_shared.c, config.c ---- */

/** Finds the drivers, checks their keys and makes the settings. */
void config_sensors_resolve(struct config_reader *reader);

/** Where peers are listened to, and what their sensors must have between them and with the rest. */
void config_coap_resolve(struct config_reader *reader);

/** Whether some route carries LANE, or is so wrong that it may be meant to. */
bool config_routes_carry(const struct config *config, enum cfg_lane lane);

/** Reports that no route carries a lane that SENSOR's records go to. NODE is its object, or NULL
 *  where there is no list of sensors. */
void config_routes_check_sensor(struct config_reader *reader, const struct json_node *node,
                                const struct cfg_sensor *sensor);

/** Regions, endpoints, credentials, and what routes and lanes must have between them. */
void config_routes_resolve(struct config_reader *reader);

/** Checks what goes with which provider, and adds "default" if it is not written. */
void config_credentials_resolve(struct config_reader *reader);

/** Where the configuration is fetched from: bucket, key, region, endpoint, credentials. */
void config_source_resolve(struct config_reader *reader);

/** Where a web identity or a role asks, unless that is known: AWS_ENDPOINT_URL_STS,
 *  AWS_ENDPOINT_URL, else the endpoint of its region, of AWS_REGION, or of REGION, which may be
 *  NULL. */
void config_credentials_resolve_sts(struct config_reader *reader,
                                    struct cfg_credentials *credentials, const char *region);

/**
 * The proxy by which ENDPOINT (its host is known) is reached: URL, which NODE (or NULL) has as
 * "proxy", else that of HTTPS_PROXY or https_proxy without the exceptions in NO_PROXY or no_proxy;
 * none for plain HTTP and for loopback and metadata hosts. What is wrong is reported.
 */
void config_proxy_resolve(struct config_reader *reader, const struct json_node *node,
                          const char *url, struct cfg_endpoint *endpoint);

/** The region of PROFILE (NULL: AWS_PROFILE, else "default") in the shared AWS config file
 *  ($AWS_CONFIG_FILE, else ~/.aws/config), owned by the pool; NULL if none can be read there. */
const char *config_shared_region(struct config_reader *reader, const char *profile);

/** The state directory behind "spool.path": as the environment has it, else that, else Kconfig. */
void config_spool_path(struct config_reader *reader);

/** The variable NAME, or NULL if it is unset or empty. */
const char *config_variable(const struct config_options *options, const char *name);

#endif
