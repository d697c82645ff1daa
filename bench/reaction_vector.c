/* The stronger opponent: creation and recombination of pairs on a torus as C that a good programmer would write.
 *
 *   gcc -O3 -march=native -ffast-math -o reaction_vector reaction_vector.c -lm
 *   ./reaction_vector DIMENSION N CELLS X STEPS
 *
 * The same algorithm as reaction_scalar.c, with its arguments and what it prints. Positions are 32-bit integers, which
 * wrap around for nothing, velocities floats; each component has an array of its own, and plain loops without branches
 * let all particles of a kind fly at once. Uniform, exponential and normal numbers are made a block at a time, sixteen
 * streams innermost, logarithms and sines by libmvec. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LANES 16
#define BLOCK 1024

static uint64_t s[4][LANES], words[BLOCK];
static uint32_t fair[2 * BLOCK];
static float waits[2 * BLOCK], normals[2 * BLOCK];
static int fairs = 2 * BLOCK, waited = 2 * BLOCK, normally = 2 * BLOCK;

/* xoshiro256++ 1.0 (Blackman and Vigna), one stream a lane */
static void fill(void) {
  for (int k = 0; k < BLOCK; k += LANES)
    for (int r = 0; r < LANES; r++) {
      const uint64_t sum = s[0][r] + s[3][r], t = s[1][r] << 17;
      words[k + r] = ((sum << 23) | (sum >> 41)) + s[0][r];
      s[2][r] ^= s[0][r];
      s[3][r] ^= s[1][r];
      s[1][r] ^= s[2][r];
      s[0][r] ^= s[3][r];
      s[2][r] ^= t;
      s[3][r] = (s[3][r] << 45) | (s[3][r] >> 19);
    }
}

static inline uint32_t word(void) {
  if (fairs == 2 * BLOCK) fill(), memcpy(fair, words, sizeof words), fairs = 0;
  return fair[fairs++];
}

static inline float uniform(void) { return (word() >> 8) * 0x1p-24f; }

static inline float exponential(void) {
  if (waited == 2 * BLOCK) {
    fill();
    for (int k = 0; k < BLOCK; k++) {
      waits[k] = -logf(((int32_t)(words[k] >> 40) + 0.5f) * 0x1p-24f);
      waits[BLOCK + k] = -logf(((int32_t)(words[k] & 0xffffff) + 0.5f) * 0x1p-24f);
    }
    waited = 0;
  }
  return waits[waited++];
}

static inline float normal(void) {
  if (normally == 2 * BLOCK) {
    fill();
    for (int k = 0; k < BLOCK; k++) {
      const float radius = sqrtf(-2 * logf(((int32_t)(words[k] >> 40) + 0.5f) * 0x1p-24f));
      const float angle = (float)(int32_t)(words[k] & 0xffffff) * (float)(2 * M_PI * 0x1p-24);
      normals[k] = radius * sinf(angle);
      normals[BLOCK + k] = radius * cosf(angle);
    }
    normally = 0;
  }
  return normals[normally++];
}

typedef struct {
  uint32_t *now[3], *sorted[3], *cell, *start, *before;
  float *speed[3], *ordered[3];
  long number, capacity;
} species;

static uint32_t shift[3];

/* All fly; then they are put in the order of their cells. */
static inline __attribute__((always_inline)) void fly(species *p, int d, int cells, long all, float time) {
  const float reach = time * 0x1p32f;
  memset(p->cell, 0, p->number * sizeof *p->cell);
  for (int k = 0; k < d; k++) {
    uint32_t *restrict x = p->now[k], *restrict c = p->cell;
    const float *restrict v = p->speed[k];
    const uint32_t origin = shift[k];
    for (long i = 0; i < p->number; i++) {
      x[i] += (uint32_t)(int64_t)(v[i] * reach);
      c[i] = c[i] * cells + (uint32_t)((uint64_t)(uint32_t)(x[i] + origin) * (uint32_t)cells >> 32);
    }
  }
  memset(p->start, 0, (all + 1) * sizeof *p->start);
  for (long i = 0; i < p->number; i++) p->start[p->cell[i] + 1]++;
  for (long c = 0; c < all; c++) p->start[c + 1] += p->start[c];
  memcpy(p->before, p->start, (all + 1) * sizeof *p->start);
  for (long i = 0; i < p->number; i++) {
    const uint32_t to = p->before[p->cell[i]]++;
    for (int k = 0; k < d; k++) p->sorted[k][to] = p->now[k][i], p->ordered[k][to] = p->speed[k][i];
  }
}

static inline __attribute__((always_inline)) long run(species *both, int d, long N, int cells, double x, long steps,
                                                      double *particles) {
  long all = 1, events = 0;
  for (int k = 0; k < d; k++) all *= cells;
  const float epsilon = 4.f / cells, create = x * N / all, rate = x * all / N, time = x * epsilon;
  const uint32_t width = (uint32_t)((1ULL << 32) / cells);
  *particles = 0;
  for (long step = 0; step < steps; step++) {
    *particles += both[0].number + both[1].number;
    both[0].number = both[1].number = 0;
    uint32_t at[3] = {0, 0, 0};
    for (long c = 0; c < all; c++) {
      long n[2];
      for (int j = 0; j < 2; j++) {
        species *p = both + j;
        const long from = p->start[c], to = p->number;
        n[j] = p->start[c + 1] - from;
        for (int k = 0; k < d; k++)
          for (long i = 0; i < n[j]; i++)
            p->now[k][to + i] = p->sorted[k][from + i], p->speed[k][to + i] = p->ordered[k][from + i];
      }
      float t = 0;
      for (;;) {
        const float total = create + rate * n[0] * n[1];
        t += exponential() / total;
        if (t > 1) break;
        events++;
        if (uniform() * total < create) {
          for (int j = 0; j < 2; j++) {
            const long i = both[j].number + n[j]++;
            for (int k = 0; k < d; k++) {
              both[j].now[k][i] = at[k] * width + (uint32_t)((uint64_t)word() * width >> 32) - shift[k];
              both[j].speed[k][i] = normal();
            }
          }
        } else {
          for (int j = 0; j < 2; j++) {
            const long first = both[j].number, i = first + (long)((uint64_t)word() * n[j] >> 32), last = first + --n[j];
            for (int k = 0; k < d; k++)
              both[j].now[k][i] = both[j].now[k][last], both[j].speed[k][i] = both[j].speed[k][last];
          }
        }
      }
      both[0].number += n[0], both[1].number += n[1];
      for (int k = d - 1; k >= 0 && ++at[k] == (uint32_t)cells; k--) at[k] = 0;
    }
    for (int k = 0; k < d; k++) shift[k] = word();
    for (int j = 0; j < 2; j++) fly(both + j, d, cells, all, time);
  }
  return events;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: %s DIMENSION N CELLS X STEPS\n", argv[0]), 2;
  const int d = atoi(argv[1]), cells = atoi(argv[3]);
  const long N = atol(argv[2]), steps = atol(argv[5]);
  const double x = atof(argv[4]);
  long all = 1;
  for (int k = 0; k < d; k++) all *= cells;
  for (int r = 0; r < LANES; r++)
    for (int k = 0; k < 4; k++) s[k][r] = 0x9E3779B97F4A7C15ULL * (4 * r + k + 1) ^ 0xBF58476D1CE4E5B9ULL;
  species both[2];
  long before = 0;
  for (int j = 0; j < 2; j++) {
    species *p = both + j;
    p->capacity = 2 * N + 1000;
    for (int k = 0; k < d; k++) {
      p->now[k] = malloc(p->capacity * 4), p->sorted[k] = malloc(p->capacity * 4);
      p->speed[k] = malloc(p->capacity * 4), p->ordered[k] = malloc(p->capacity * 4);
    }
    p->cell = malloc(p->capacity * 4), p->start = calloc(all + 1, 4), p->before = calloc(all + 1, 4);
    p->number = N + (long)floorf(sqrtf(N) * normal());
    for (long i = 0; i < p->number; i++)
      for (int k = 0; k < d; k++) p->now[k][i] = word(), p->speed[k][i] = normal();
    fly(p, d, cells, all, 0);
    before += (j ? -1 : 1) * p->number;
  }
  double particles;
  struct timespec t0, t1;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
  const long events = d == 1 ? run(both, 1, N, cells, x, steps, &particles)
                    : d == 2 ? run(both, 2, N, cells, x, steps, &particles)
                             : run(both, 3, N, cells, x, steps, &particles);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
  const double seconds = (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
  printf("%.6f %.6e %.6e %ld %ld\n", seconds, particles / seconds, events / seconds, both[0].number + both[1].number,
         both[0].number - both[1].number - before);
  return 0;
}
