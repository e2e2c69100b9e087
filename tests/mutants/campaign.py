"""Mutants of the rooms that plan, run, record and report a campaign; one entry each."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CAMPAIGN: tuple[Mutant, ...] = (
    # planning
    Mutant(
        "tbar_ray/planning/trial.py",
        "        return of[0] == method\n",
        "        return True\n",
        "tests/planning/test_trial.py tests/planning/test_planner.py",
    ),
    Mutant(
        "tbar_ray/planning/trial.py",
        '        content["evaluation"]["split_seed"] = spec.seed\n',
        "        pass\n",
        "tests/planning/test_graph.py tests/planning/test_trial.py",
    ),
    Mutant(
        "tbar_ray/planning/planner.py",
        "            found.setdefault(planned.fingerprint, planned)\n",
        "            found[str(values)] = planned\n",
        "tests/planning/test_planner.py tests/planning/test_graph.py",
    ),
    Mutant(
        "tbar_ray/planning/field_types.py",
        "    return int in types and float not in types\n",
        "    return int in types\n",
        "tests/planning/test_field_types.py",
    ),
    Mutant(
        "tbar_ray/planning/graph.py",
        '        clean_pairs=spec.defender.clean_pairs if "clean pairs" in needs else 0,\n',
        "        clean_pairs=spec.defender.clean_pairs,\n",
        "tests/planning/test_methods.py tests/planning/test_graph.py",
    ),
    Mutant(
        "tbar_ray/planning/beliefs.py",
        "        return believed_backdoor(spec, planted.backdoor, attack)\n",
        "        return None\n",
        "tests/planning/test_beliefs.py",
    ),
    Mutant(
        "tbar_ray/planning/pair_labels.py",
        "    if wanted and have_labels(spec.data) is False:\n",
        "    if wanted and not have_labels(spec.data):\n",
        "tests/planning/test_pair_labels.py",
    ),
    Mutant(
        "tbar_ray/planning/miniature.py",
        "    return {**given, **cut, **large}\n",
        "    return {**given, **cut}\n",
        "tests/planning/test_miniature.py",
    ),
    # records
    Mutant(
        "tbar_ray/records/ledger.py",
        "    if version != SCHEMA_VERSION:\n",
        "    if version is None:\n",
        "tests/records/test_ledger.py",
    ),
    Mutant(
        "tbar_ray/records/ledger.py",
        "    names = order_of(name for record in records for name in record.settings)\n",
        '    names = ["attack", "method"]\n',
        "tests/records/test_ledger.py",
    ),
    Mutant(
        "tbar_ray/records/cells.py",
        "    return (rank, 0, point.asr, -point.ca) if point else (rank, 1, 0.0, 0.0)\n",
        "    return (rank, 0, -point.ca, point.asr) if point else (rank, 1, 0.0, 0.0)\n",
        "tests/records/test_cells.py",
    ),
    # search and execution
    Mutant(
        "tbar_ray/search/samplers.py",
        "        if self._outstanding:\n            return\n",
        "        if False:\n            return\n",
        "tests/search/test_samplers.py",
    ),
    Mutant(
        "tbar_ray/search/samplers.py",
        "            if len(whole) < len(found) or not all(map(isfinite, values)):",
        "            if len(whole) < len(found):",
        "tests/search/test_samplers.py",
    ),
    Mutant(
        "tbar_ray/search/samplers.py",
        '{"infected_asr": "maximize"}',
        '{"infected_asr": "minimize"}',
        "tests/search/test_samplers.py",
    ),
    Mutant(
        "tbar_ray/search/samplers.py",
        "max(one[self._constraint] for one in whole)",
        "0.0",
        "tests/search/test_study_journal.py",
    ),
    Mutant(
        "tbar_ray/planning/planner.py",
        "for stage in self.graph.results",
        "for stage in self.graph.outputs",
        "tests/planning/test_graph.py",
    ),
    Mutant(
        "tbar_ray/search/searcher.py",
        "        self._sent.update(stage.fingerprint for stage in stages_in_order(planned.graph.outputs))\n",
        "",
        "tests/search/test_searcher.py",
    ),
    Mutant(
        "tbar_ray/search/searcher.py",
        "len(self._running) >= self._room()",
        "False",
        "tests/search/test_searcher.py",
    ),
    Mutant(
        "tbar_ray/execution/gpu_process.py",
        "    return _first_given() != _given()\n",
        "    return False\n",
        "tests/execution/test_gpu_process.py",
    ),
    Mutant(
        "tbar_ray/execution/stage_task.py",
        "    if policy.gpus and is_of_another_gpu():\n",
        "    if is_of_another_gpu() and not policy.gpus:\n",
        "tests/execution/test_stage_task.py",
    ),
    Mutant(
        "tbar_ray/execution/fitting.py",
        "has // gpus if gpus >= 1 else has * (1 // gpus)",
        "has / gpus",
        "tests/execution/test_fitting.py",
    ),
    Mutant(
        "tbar_ray/stages/alpha_path.py",
        "dominated = self.to_beat is not None",
        "dominated = False and self.to_beat is not None",
        "tests/campaign/test_campaign_ray.py",
    ),
    # launches of a part of a campaign, and what it cost
    Mutant(
        "tbar_ray/planning/share.py",
        "        together = sorted(trials, key=lambda planned: places[_model(planned)])\n",
        "        together = list(trials)\n",
        "tests/planning/test_share.py",
    ),
    Mutant(
        "tbar_ray/campaign/scope.py",
        '    return record is not None and record.status == "failed"\n',
        "    return record is not None\n",
        "tests/campaign/test_scope.py",
    ),
    Mutant(
        "tbar_ray/store/lease.py",
        " and self._share[1] == share[1]\n",
        "\n",
        "tests/store/test_lease.py",
    ),
    Mutant(
        "tbar_ray/records/account.py",
        "artifact not in before",
        "True",
        "tests/records/test_account.py",
    ),
    Mutant(
        "tbar_ray/execution/stage_task.py",
        '            "gpus": given.gpus * given.training_workers,\n',
        '            "gpus": given.gpus,\n',
        "tests/execution/test_stage_task.py",
    ),
    Mutant(
        "tbar_ray/execution/health.py",
        "        if store.read_json(own) != content:\n",
        "        if False:\n",
        "tests/execution/test_health.py",
    ),
    # stopping, and what is left
    Mutant(
        "tbar_ray/campaign/stopping.py",
        "        signal.setitimer(signal.ITIMER_REAL, most + TIDYING + LATER)\n",
        "",
        "tests/campaign/test_stopping.py",
    ),
    Mutant(
        "tbar_ray/campaign/stopping.py",
        "signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)",
        "signal.set_wakeup_fd(-1)",
        "tests/campaign/test_stopping.py",
    ),
    Mutant(
        "tbar_ray/store/temporary.py",
        "    end(*abandoned)\n",
        "    remove(*abandoned)\n",
        "tests/store/test_temporary.py",
    ),
    Mutant(
        "tbar_ray/store/temporary.py",
        "if not is_alive(owner)]",
        "if owner != os.getpid()]",
        "tests/store/test_temporary.py",
    ),
    Mutant(
        "tbar_ray/tracking/tracker.py",
        "                self._closed = for_good\n",
        "                pass\n",
        "tests/tracking/test_recording.py",
    ),
    Mutant(
        "tbar_ray/tracking/recording.py",
        "            self._started = True\n",
        "            self._started = False\n",
        "tests/tracking/test_recording.py",
    ),
    # tracking and report
    Mutant(
        "tbar_ray/records/names.py",
        "            names.append(factor.told(record.settings[name]))\n",
        "            pass\n",
        "tests/records/test_names.py tests/tracking/test_tracker.py",
    ),
    Mutant(
        "tbar_ray/tracking/recording.py",
        "known = self._answered or self._tracker is not None",
        "known = self._tracker is not None",
        "tests/tracking/test_recording.py",
    ),
    Mutant(
        "tbar_ray/execution/coordinator.py",
        "        if not self._live:  # all were in the store, or ended before their first report came\n"
        "            self._begun.set()\n",
        "",
        "tests/execution/test_coordinator_ray.py",
    ),
    Mutant(
        "tbar_ray/tracking/tracker.py",
        "        if known is not None and known.status == status:\n",
        "        if False:\n",
        "tests/tracking/test_tracker.py",
    ),
    Mutant(
        "tbar_ray/report/comparison.py",
        "    if images is None or images != second.test_images(two):\n",
        "    if images is None:\n",
        "tests/report/test_comparison.py",
    ),
    Mutant(
        "tbar_ray/report/parameters.py",
        "if method == record.method and parameter in parameters:",
        "if parameter in parameters:",
        "tests/report/test_parameters.py",
    ),
    Mutant(
        "tbar_ray/tracking/run_metrics.py",
        "    point = record.selected_point\n",
        "    point = record.path[-1]\n",
        "tests/tracking/test_tracker.py",
    ),
    Mutant(
        "tbar_ray/tracking/run_writer.py",
        "        ended = run.started + round((seconds or 0.0) * 1000)\n",
        "        ended = None\n",
        "tests/tracking/test_tracker.py",
    ),
    Mutant(
        "tbar_ray/campaign/display.py",
        "        before = sum(snapshot.counts[state] for state in ENDED) - len(snapshot.ended)\n",
        "        before = 0\n",
        "tests/campaign/test_display.py",
    ),
    Mutant(
        "tbar_ray/campaign/stage_graph.py",
        "            above = max(needed, key=lambda found: self._depth[found], default=None)\n",
        "            above = min(needed, key=lambda found: self._depth[found], default=None)\n",
        "tests/campaign/test_stage_graph.py",
    ),
    Mutant(
        "tbar_ray/campaign/graph_view.py",
        "        below=tuple(folded([group for each in members for group in each.below], 1)),\n",
        "        below=tuple(folded([group for each in members for group in each.below], 9)),\n",
        "tests/campaign/test_graph_view.py",
    ),
    Mutant(
        "tbar_ray/report/sheets.py",
        "            found.left_out = len(wanted) - place\n            break\n",
        "            found.left_out = len(wanted) - place\n            continue\n",
        "tests/report/test_sheets.py",
    ),
    Mutant(
        "tbar_ray/campaign/sheet_pictures.py",
        "return data, self._positions(data), self._scorer.backdoor.build(self._store).at_test()",
        "return data, self._positions(data), self._scorer.backdoor.build(self._store)",
        "tests/campaign/test_sheets.py",
    ),
    Mutant(
        "tbar_ray/campaign/watch.py",
        '            if known is None or known.status == "failed":',
        "            if known is None:",
        "tests/campaign/test_watch.py",
    ),
    Mutant(
        "tbar_ray/report/effects.py",
        "            asr, ca = (points(fmean(_differences(own, metric))) for metric in METRICS)\n",
        "            asr, ca = (points(sum(_differences(own, metric))) for metric in METRICS)\n",
        "tests/report/test_effects.py",
    ),
    # what users meet
    Mutant(
        "tbar_ray/execution/reach.py",
        "    return len(start) == SETTINGS and start[-1] == SETTINGS\n",
        "    return bool(start)\n",
        "tests/execution/test_reach.py",
    ),
    Mutant(
        "tbar_ray/store/paths.py",
        '    return plain if sqlite_path(plain) == str(path) else f"{SQLITE}{quote(str(path))}"\n',
        "    return plain\n",
        "tests/store/test_paths.py",
    ),
    Mutant(
        "tbar_ray/cli/options.py",
        "    return expanded(text)\n",
        "    return Path(text)\n",
        "tests/cli/test_options.py",
    ),
    Mutant(
        "tbar_ray/execution/cluster.py",
        "                _start(folder, max(processors(), cpus))\n",
        "                _start(folder, cpus)\n",
        "tests/execution/test_cluster.py",
    ),
    Mutant(
        "tbar_ray/execution/watch.py",
        "        if self._missed == LOOKS:\n",
        "        if self._missed:\n",
        "tests/execution/test_watch.py",
    ),
    # what becomes of a removal
    Mutant(
        "tbar_ray/stages/rebound.py",
        "defenders_keys(self.path.unlearn, store)",
        "frozenset[str]()",
        "tests/stages/test_rebound.py",
    ),
    Mutant(
        "tbar_ray/stages/alpha_scores.py",
        "            own = self._edit.head is not None and",
        "            own = self._edit.head is None and",
        "tests/stages/test_subject.py",
    ),
    # one model
    Mutant(
        "tbar_ray/onemodel/examine.py",
        "        return self.asr.value >= self.settings.min_asr\n",
        "        return True\n",
        "tests/onemodel/test_workflow.py",
    ),
    Mutant(
        "tbar_ray/onemodel/remove.py",
        "    return poisoned | examined.defence.held\n",
        "    return poisoned\n",
        "tests/onemodel/test_remove.py",
    ),
    Mutant(
        "tbar_ray/onemodel/scan_record.py",
        '        if self.verdict.outcome == "no evidence" and not force:\n',
        "        if False:\n",
        "tests/onemodel/test_scan_record.py",
    ),
    Mutant(
        "tbar_ray/onemodel/workflow.py",
        "        _require_same(opened, trigger)\n",
        "",
        "tests/cli/test_unlearn_cli.py",
    ),
    Mutant(
        "tbar_ray/onemodel/scanning.py",
        "shown = (head, classes.names) if opened.text_tower else (None, ())",
        "shown = (head, classes.names)",
        "tests/onemodel/test_scanning.py",
    ),
    Mutant(
        "tbar_ray/onemodel/writing.py",
        "        if not _same(state[key], live[key]):\n",
        "        if True:\n",
        "tests/onemodel/test_writing.py",
    ),
    Mutant(
        "tbar_ray/onemodel/verdict.py",
        "    if is_.low <= base.high:\n",
        "    if is_.low <= was.high:\n",
        "tests/onemodel/test_verdict.py",
    ),
    Mutant(
        "tbar_ray/report/page.py",
        "autoescape=True",
        "autoescape=False",
        "tests/onemodel/test_report.py tests/report/test_html.py",
    ),
    Mutant(
        "tbar_ray/stages/alpha_path.py",
        "            device,\n            self.statistics,\n",
        '            device,\n            "as_applied",\n',
        "tests/campaign/test_export.py",
    ),
    # what several launches write
    Mutant(
        "tbar_ray/tracking/run_writer.py",
        "        write_beside_others(partial(self._client.log_batch, run_id, **rows))\n",
        "        self._client.log_batch(run_id, **rows)\n",
        "tests/tracking/test_run_writer.py",
    ),
    # several captions
    Mutant(
        "tbar_ray/data/raw/samples.py",
        '            drawn = stable_hash("caption", self.keys[i]) % len(self.texts)\n',
        "            drawn = i % len(self.texts)\n",
        "tests/data/raw/test_samples.py",
    ),
    # how threads of a worker wait
    Mutant(
        "tbar_ray/execution/stage_task.py",
        "let_waiting_threads_sleep()  #",
        "#",
        "tests/execution/test_stage_task.py",
    ),
    # leaderboard
    Mutant(
        "tbar_ray/leaderboard/order.py",
        "    if not cell.can_come_back:",
        "    if False:",
        "tests/leaderboard/test_order.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/ranking.py",
        "    if not few and len(attacks)",
        "    if len(attacks)",
        "tests/leaderboard/test_ranking.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/ranking.py",
        "if rule.whole and cell.is_of_a_method",
        "if False",
        "tests/leaderboard/test_ranking.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/harvest.py",
        " or self._not_taken.get(planned.graph.path.artifact)",
        "",
        "tests/leaderboard/test_harvest.py",
    ),
    Mutant(
        "tbar_ray/stages/rebound.py",
        "if test is not None and not is_eligible(asr",
        "if test is None and not is_eligible(asr",
        "tests/stages/test_rebound.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/lines.py",
        "    return cell.is_measured, cell.ended or 0.0, cell.after is not None\n",
        "    return True, cell.ended or 0.0, cell.after is not None\n",
        "tests/leaderboard/test_lines.py tests/leaderboard/test_writing.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/order.py",
        "    return (0, -_points(pa)) if is_removed(cell) else (1, _points(asr + lost))\n",
        "    return (0, -_points(pa)) if is_removed(cell) else (1, _points(asr))\n",
        "tests/leaderboard/test_order.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/lines.py",
        "known.after is not None and cell.lacks_after",
        "known.after is not None and cell.after is None",
        "tests/leaderboard/test_lines.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/comeback.py",
        " or not cell.can_come_back",
        "",
        "tests/leaderboard/test_comeback.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/aims.py",
        "pa >= wanted - RESTORED_PA - ROUNDING",
        "pa >= wanted - RESTORED_PA - 1.0",
        "tests/leaderboard/test_aims.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/aims.py",
        "    if asr is not None and asr > LASTING:",
        "    if False:",
        "tests/leaderboard/test_aims.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/aims.py",
        " and ca >= LASTING_CA * before - ROUNDING",
        "",
        "tests/leaderboard/test_aims.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/aims.py",
        "False if False in found else None if None in found else True",
        "None if None in found else False not in found",
        "tests/leaderboard/test_aims.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/ranking.py",
        '    usable = [cell for cell in cells if cell.tuned_on != "attack"]\n',
        "    usable = list(cells)\n",
        "tests/leaderboard/test_ranking.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/ranking.py",
        "    return ranks({name: (round(2 * sum(found[name] for found in of_seeds)),) for name in places})\n",
        "    return {name: sum(found[name] for found in of_seeds) / len(of_seeds) for name in places}\n",
        "tests/leaderboard/test_ranking.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/critical_difference.py",
        "    return q * sqrt(methods * (methods + 1) / (6 * attacks))\n",
        "    return q * sqrt(methods * (methods + 1) / (12 * attacks))\n",
        "tests/leaderboard/test_critical_difference.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/harvest.py",
        "for graph in (planned.graph, every, bare)}",
        "for graph in (bare, every, planned.graph)}",
        "tests/leaderboard/test_harvest.py",
    ),
    Mutant(
        "tbar_ray/leaderboard/tuning.py",
        "        if any(other.planting == attack.planting for other in same):\n",
        "        if same:\n",
        "tests/leaderboard/test_tuning.py",
    ),
)
